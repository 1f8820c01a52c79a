"""`python -m tests.corpus`: writes docs/bad-input.md."""

from __future__ import annotations

import sys

from tests.corpus.page import PAGE, write

sys.stdout.write(f"{PAGE.name} {'is written' if write() else 'was current'}.\n")
