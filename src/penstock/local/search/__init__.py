"""The embedded search index: SQLite FTS5 behind the few REST calls of OpenSearch that Penstock makes.

`python -m penstock.local.search --port N --data FILE` serves it. It answers in OpenSearch's own shapes and refuses what
OpenSearch would refuse, as far as Penstock can tell the difference; `tests/contract/test_search_contract.py` holds it
to that, and runs the same on a real node. A document can be found at once here: there is no refresh to wait for.
"""
