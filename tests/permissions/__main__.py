"""`make permissions`: writes docs/permissions.md, in ten minutes. `--role BeginLoad` shows one role's."""

from __future__ import annotations

import argparse
import sys
import time
from importlib.metadata import version
from pathlib import Path

from tests.permissions.measure import Shown, laboratory
from tests.permissions.page import page, unexplained

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--role", default="", help="only this one's, and docs/permissions.md is left alone")
    role = options.parse_args().role
    began = time.monotonic()

    def tell(one: Shown) -> None:
        told = f"{one.grant.role}: {one.grant.action} {one.grant.resource}".ljust(90)
        print(f"{time.monotonic() - began:6.0f} s  {told}  {one.step or '-'}", flush=True)  # noqa: T201 - a command.

    with laboratory() as at_hand:
        grants = [grant for grant in at_hand.roles.grants() if role in {"", grant.role}]
        shown = at_hand.show_all(grants, tell)
    if not role:
        PAGE.write_text(page(shown, f"MiniStack {version('ministack')}"))
    left = unexplained(shown)
    for one in left:
        print(f"no step fails without {one}, and tests/permissions/not_shown.py does not say why", file=sys.stderr)  # noqa: T201 - a command's own words
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())
