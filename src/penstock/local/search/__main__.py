"""Serves the embedded search index until it is told to stop."""

from __future__ import annotations

import argparse

import uvicorn

from penstock.local.search.app import search_app
from penstock.local.search.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m penstock.local.search", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", default=":memory:", help="the SQLite file; nothing is kept without one")
    options = parser.parse_args()
    store = Store(options.data)
    try:
        uvicorn.run(search_app(store), host="127.0.0.1", port=options.port, log_level="warning", lifespan="off")
    finally:
        store.close()


if __name__ == "__main__":
    main()
