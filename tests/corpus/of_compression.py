"""What can be wrong with a compressed file."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

import gzip
import zlib

from tests.corpus.case import Case, loads, quarantines

TEXT = b"id,name,born\n1,Ada,1815-12-10\n2,Grace,1906-12-09\n"
MANY = b"id,name,born\n" + b"".join(b"%d,Ada,1815-12-10\n" % number for number in range(1, 3001))
GZIPPED = gzip.compress(MANY, mtime=0)


def bomb() -> bytes:
    """80 MB in about 80 KB; its rows are long, so that the test has few of them to index."""
    packer = zlib.compressobj(9, wbits=31)
    rows = (b"7," + b"A" * 500_000 + b",1815-12-10\n") * 2
    packed = [packer.compress(b"id,name,born\n"), *(packer.compress(rows) for _ in range(80)), packer.flush()]
    return b"".join(packed)


CASES = (
    Case("gzip", gzip.compress(TEXT, mtime=0), loads(2), key="a.csv.gz"),
    Case(
        "gzip of two members, as `cat a.gz b.gz` makes",
        gzip.compress(TEXT, mtime=0) + gzip.compress(b"3,Mary,\n", mtime=0),
        loads(3),
        key="b.csv.gz",
    ),
    Case("gzip, padded with zeros", gzip.compress(TEXT, mtime=0) + bytes(512), loads(2), key="c.csv.gz"),
    Case(
        "gzip, cut off",
        GZIPPED[:-500],
        quarantines("the gzip data ends early: the upload was cut off; send the file again"),
        key="d.csv.gz",
    ),
    Case(
        "gzip, cut off in its header",
        GZIPPED[:7],
        quarantines("the gzip data ends early: the upload was cut off; send the file again"),
        key="e.csv.gz",
    ),
    Case(
        "gzip, cut off between rows in its second member",
        gzip.compress(TEXT, mtime=0) + GZIPPED[:-8],
        quarantines("the gzip data ends early: the upload was cut off; send the file again"),
        key="f.csv.gz",
    ),
    Case(
        "gzip with text behind it",
        gzip.compress(TEXT, mtime=0) + b"3,Mary,\n",
        quarantines("behind the gzip data stands something that is none; send the file again, without it"),
        key="g.csv.gz",
    ),
    Case(
        "gzip, damaged",
        GZIPPED[:500] + bytes(50) + GZIPPED[550:],
        quarantines("the gzip data is damaged; send the file again"),
        key="h.csv.gz",
    ),
    Case(
        "gzip with a wrong checksum",
        GZIPPED[:-8] + bytes(8),
        quarantines("the gzip data is damaged: its checksum does not fit; send the file again"),
        key="i.csv.gz",
    ),
    Case(
        "plain text named .gz",
        TEXT,
        quarantines("the file is no gzip, though its name or its dataset says so; compress it, or mend its name"),
        key="j.csv.gz",
    ),
    Case(
        "gzip that is not named so",
        gzip.compress(TEXT, mtime=0),
        quarantines(
            "the file is gzip, and neither its name nor its dataset says so: name it .gz, or say compression: gzip. Where one does, it was compressed twice: send it compressed once"
        ),
        key="k.csv",
    ),
    Case(
        "gzip in gzip",
        gzip.compress(gzip.compress(TEXT, mtime=0), mtime=0),
        quarantines(
            "the file is gzip, and neither its name nor its dataset says so: name it .gz, or say compression: gzip. Where one does, it was compressed twice: send it compressed once"
        ),
        key="l.csv.gz",
    ),
    Case(
        "an empty object named .gz",
        b"",
        quarantines("the file is empty; send it again if it should hold rows"),
        key="m.csv.gz",
    ),
    Case(
        "gzip of nothing",
        gzip.compress(b"", mtime=0),
        quarantines("the file is empty; send it again if it should hold rows"),
        key="n.csv.gz",
    ),
    Case(
        "a decompression bomb of rows",
        bomb,
        quarantines(
            "the file unpacks to more than 500 times its size, as a decompression bomb does; if it is none, raise limits: max_ratio of the dataset"
        ),
        key="o.csv.gz",
    ),
    Case(
        "a decompression bomb of zeros",
        lambda: gzip.compress(bytes(100 * 2**20), mtime=0),
        quarantines("there is a NUL byte on line 1: it is no text file, or one in UTF-16; write it as UTF-8"),
        key="p.csv.gz",
    ),
    Case(
        "gzip of more than limits: max_uncompressed",
        lambda: gzip.compress(b"id,name,born\n" + (b"7," + b"A" * 900 + b",\n") * 1300, mtime=0),
        quarantines("the file unpacks to more than 1 MiB; split it, or raise limits: max_uncompressed of the dataset"),
        dataset="small",
        key="q.csv.gz",
    ),
)
