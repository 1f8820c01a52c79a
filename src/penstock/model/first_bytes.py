"""What a text file's first bytes say of it, before anything of it is read."""

from __future__ import annotations

from penstock.model.errors import BadFileError
from penstock.model.streams import ByteStream

BLOCK = 2**18
"""Bytes that are read at once."""

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_PACKED = {
    b"\x1f\x8b\x08": ("gzip", ".gz"),
    b"\x28\xb5\x2f\xfd": ("zstd", ".zst"),
    b"BZh": ("bzip2", ".bz2"),
}


def first_block(stream: ByteStream, encoding: str) -> bytes:
    """The first block, full unless the stream ends within it, without its byte order mark.

    Raises BadFileError for a stream that is empty, still compressed, or UTF-16.
    """
    pieces: list[bytes] = []
    size = 0
    while size < BLOCK and (piece := stream.read(BLOCK - size)):
        pieces.append(piece)
        size += len(piece)
    block = b"".join(pieces)
    if not block:
        raise BadFileError("the file is empty; send it again if it should hold rows")
    for magic, (name, ending) in _PACKED.items():
        # Text may begin with the letters of bzip2's; behind them stands a block's own mark, or that of the end.
        if block.startswith(magic) and (name != "bzip2" or block[4:10] in _BZIP2_MARKS):
            raise BadFileError(
                f"the file is {name}, and neither its name nor its dataset says so: name it {ending}, or say "
                f"compression: {name}. Where one does, it was compressed twice: send it compressed once"
            )
    if block.startswith(_UTF16_BOMS):
        raise BadFileError("the file is UTF-16 or UTF-32; write it as UTF-8")
    return block.removeprefix(_UTF8_BOM) if encoding == "utf-8" else block


_BZIP2_MARKS = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
