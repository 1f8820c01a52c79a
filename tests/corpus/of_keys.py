"""Keys that S3 takes and that programs stumble over. Their files are good: each has to be loaded, and to keep its name."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

import unicodedata

from tests.corpus.case import Case, loads

GOOD = b"id,name,born\n1,Ada,1815-12-10\n"

KEYS = {
    "spaces": "two  words .csv",
    "a plus sign": "a+b.csv",
    "percent signs": "100%/a%2Fb%20c.csv",
    "quotes": "\"a\" 'b' `c`.csv",
    "an é of one character": unicodedata.normalize("NFC", "caf\u00e9.csv"),
    "an é of two": unicodedata.normalize("NFD", "caf\u00e9.csv"),
    "an emoji": "\U0001f600.csv",
    "a newline": "a\nb.csv",
    "a tab and a carriage return": "a\tb\rc.csv",
    "..": "../../etc/passwd",
    ".": "./a.csv",
    "empty folders": "a//b.csv",
    "a slash in front": "/a.csv",
    "a backslash": "a\\b.csv",
    "markup": "<a>&amp;.csv",
    "SQL": "'); DROP TABLE penstock.load; --.csv",
    "a shell's characters": "$(rm -rf *);|&.csv",
    "a question mark and a hash": "a?versionId=null#b.csv",
    "all 1,024 bytes": "x" * (1024 - len("incoming/people/") - 4) + ".csv",
    "1,024 bytes in many folders": ("y" * 50 + "/") * 18 + "z" * (1024 - len("incoming/people/") - 18 * 51),
    "the name of a file of Penstock's": "a.csv.rejects.jsonl",
    "a control character": "a\x01b.csv",
}

CASES = tuple(
    Case(f"a key with {what}", GOOD.replace(b"Ada", b"%d" % number), loads(1), key=key)
    for number, (what, key) in enumerate(KEYS.items())
)
