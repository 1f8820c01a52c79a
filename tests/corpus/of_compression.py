"""What can be wrong with a compressed file."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

import bz2
import gzip
import zlib

from tests.corpus.case import Case, loads, quarantines
from tests.zstandard import zstd

TEXT = b"id,name,born\n1,Ada,1815-12-10\n2,Grace,1906-12-09\n"
MANY = b"id,name,born\n" + b"".join(b"%d,Ada,1815-12-10\n" % number for number in range(1, 3001))
GZIPPED = gzip.compress(MANY, mtime=0)
BZIPPED = bz2.compress(MANY)
ZSTD = zstd.compress(MANY, options={zstd.CompressionParameter.checksum_flag: 1})
LONG_ROWS = (b"7," + b"A" * 500_000 + b",1815-12-10\n") * 160
MORE = b"3,Mary,\n"

BOMB = "the file unpacks to more than 500 times its size, as a decompression bomb does; if it is none, raise limits: max_ratio of the dataset"


def bomb() -> bytes:
    """80 MB in about 80 KB; its rows are long, so that the test has few of them to index."""
    packer = zlib.compressobj(9, wbits=31)
    rows = (b"7," + b"A" * 500_000 + b",1815-12-10\n") * 2
    packed = [packer.compress(b"id,name,born\n"), *(packer.compress(rows) for _ in range(80)), packer.flush()]
    return b"".join(packed)


def _of_window_log(log: int) -> bytes:
    """A frame whose header asks for that much memory; its blocks are no more than the header's promise."""
    frame = bytearray(zstd.compress(MANY, options={zstd.CompressionParameter.content_size_flag: 0}))
    frame[5] = (log - 10) << 3
    return bytes(frame)


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
        quarantines(BOMB),
        key="o.csv.gz",
    ),
    Case(
        "a decompression bomb of zeros",
        lambda: gzip.compress(bytes(100 * 2**20), mtime=0),
        quarantines(BOMB),
        key="p.csv.gz",
    ),
    Case(
        "a decompression bomb of short rows",
        lambda: gzip.compress(b"id,name,born\n" + b"7,,\n" * 4_000_000, mtime=0),
        quarantines(BOMB),
        key="r.csv.gz",
    ),
    Case(
        "short rows that are all the same, in a file that unpacks to less than 8 MiB",
        gzip.compress(b"id,name,born\n" + b"7,,\n" * 5000, mtime=0),
        loads(5000),
        key="s.csv.gz",
    ),
    Case(
        "gzip of more than limits: max_uncompressed",
        lambda: gzip.compress(b"id,name,born\n" + (b"7," + b"A" * 900 + b",\n") * 1300, mtime=0),
        quarantines("the file unpacks to more than 1 MiB; split it, or raise limits: max_uncompressed of the dataset"),
        dataset="small",
        key="q.csv.gz",
    ),
    Case("bzip2", bz2.compress(TEXT), loads(2), key="a.csv.bz2"),
    Case(
        "bzip2 of two members, as `cat a.bz2 b.bz2` makes",
        bz2.compress(TEXT) + bz2.compress(MORE),
        loads(3),
        key="b.csv.bz2",
    ),
    Case(
        "bzip2, cut off",
        BZIPPED[:-500],
        quarantines("the bzip2 data ends early: the upload was cut off; send the file again"),
        key="c.csv.bz2",
    ),
    Case(
        "bzip2, cut off in its header",
        BZIPPED[:2],
        quarantines("the bzip2 data ends early: the upload was cut off; send the file again"),
        key="d.csv.bz2",
    ),
    Case(
        "bzip2, cut off in its second member",
        bz2.compress(TEXT) + BZIPPED[:-8],
        quarantines("the bzip2 data ends early: the upload was cut off; send the file again"),
        key="e.csv.bz2",
    ),
    Case(
        "bzip2 with text behind it",
        bz2.compress(TEXT) + MORE,
        quarantines("behind the bzip2 data stands something that is none; send the file again, without it"),
        key="f.csv.bz2",
    ),
    Case(
        "bzip2, damaged",
        BZIPPED[:500] + bytes(50) + BZIPPED[550:],
        quarantines("the bzip2 data is damaged; send the file again"),
        key="g.csv.bz2",
    ),
    Case(
        "plain text named .bz2",
        TEXT,
        quarantines("the file is no bzip2, though its name or its dataset says so; compress it, or mend its name"),
        key="h.csv.bz2",
    ),
    Case(
        "bzip2 that is not named so",
        bz2.compress(TEXT),
        quarantines(
            "the file is bzip2, and neither its name nor its dataset says so: name it .bz2, or say compression: bzip2. Where one does, it was compressed twice: send it compressed once"
        ),
        key="i.csv",
    ),
    Case(
        "CSV that begins as bzip2 does",
        b"BZh9\n1\n",
        quarantines(
            "the first line names none of dataset people's columns (id, name, born): is the header missing, spelt otherwise, or of another delimiter? Mend the file, or say so in the dataset (csv: header, delimiter)"
        ),
        key="j.csv",
    ),
    Case(
        "an empty object named .bz2",
        b"",
        quarantines("the file is empty; send it again if it should hold rows"),
        key="k.csv.bz2",
    ),
    Case(
        "bzip2 of nothing",
        bz2.compress(b""),
        quarantines("the file is empty; send it again if it should hold rows"),
        key="l.csv.bz2",
    ),
    Case(
        "a decompression bomb in bzip2",
        lambda: bz2.compress(b"id,name,born\n" + LONG_ROWS),
        quarantines(BOMB),
        key="m.csv.bz2",
    ),
    Case("zstd", zstd.compress(TEXT), loads(2), key="a.csv.zst"),
    Case(
        "zstd of two frames, as `cat a.zst b.zst` makes",
        zstd.compress(TEXT) + zstd.compress(MORE),
        loads(3),
        key="b.csv.zst",
    ),
    Case(
        "zstd with a frame that is skipped, as pzstd makes",
        b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"\x01\x02\x03\x04" + zstd.compress(TEXT),
        loads(2),
        key="c.csv.zst",
    ),
    Case(
        "zstd, cut off",
        ZSTD[:-500],
        quarantines("the zstd data ends early: the upload was cut off; send the file again"),
        key="d.csv.zst",
    ),
    Case(
        "zstd, cut off in its header",
        ZSTD[:3],
        quarantines("the zstd data ends early: the upload was cut off; send the file again"),
        key="e.csv.zst",
    ),
    Case(
        "zstd, cut off in its second frame",
        zstd.compress(TEXT) + ZSTD[:-8],
        quarantines("the zstd data ends early: the upload was cut off; send the file again"),
        key="f.csv.zst",
    ),
    Case(
        "zstd with text behind it",
        zstd.compress(TEXT) + MORE,
        quarantines("behind the zstd data stands something that is none; send the file again, without it"),
        key="g.csv.zst",
    ),
    Case(
        "zstd, damaged",
        ZSTD[:20] + bytes(500) + ZSTD[520:],
        quarantines("the zstd data is damaged; send the file again"),
        key="h.csv.zst",
    ),
    Case(
        "zstd with a wrong checksum",
        ZSTD[:-4] + bytes(4),
        quarantines("the zstd data is damaged: its checksum does not fit; send the file again"),
        key="i.csv.zst",
    ),
    Case(
        "plain text named .zst",
        TEXT,
        quarantines("the file is no zstd, though its name or its dataset says so; compress it, or mend its name"),
        key="j.csv.zst",
    ),
    Case(
        "zstd that is not named so",
        zstd.compress(TEXT),
        quarantines(
            "the file is zstd, and neither its name nor its dataset says so: name it .zst, or say compression: zstd. Where one does, it was compressed twice: send it compressed once"
        ),
        key="k.csv",
    ),
    Case(
        "zstd that wants a window of 1 GiB",
        lambda: _of_window_log(30),
        quarantines("the zstd data wants a window of more than 128 MiB; compress it with --long=27 or less"),
        key="l.csv.zst",
    ),
    Case(
        "an empty object named .zst",
        b"",
        quarantines("the file is empty; send it again if it should hold rows"),
        key="m.csv.zst",
    ),
    Case(
        "zstd of nothing",
        zstd.compress(b""),
        quarantines("the file is empty; send it again if it should hold rows"),
        key="n.csv.zst",
    ),
    Case(
        "a decompression bomb in zstd",
        lambda: zstd.compress(b"id,name,born\n" + LONG_ROWS),
        quarantines(BOMB),
        key="o.csv.zst",
    ),
    Case(
        "zstd of more than limits: max_uncompressed",
        lambda: zstd.compress(b"id,name,born\n" + (b"7," + b"A" * 900 + b",\n") * 1300),
        quarantines("the file unpacks to more than 1 MiB; split it, or raise limits: max_uncompressed of the dataset"),
        dataset="small",
        key="p.csv.zst",
    ),
)
