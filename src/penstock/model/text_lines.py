"""A text file as lines, of bounded length and in bounded memory: blocks of whole lines, decoded at once."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.model.errors import BadFileError
from penstock.model.first_bytes import BLOCK, first_block
from penstock.model.streams import ByteStream


class Lines:
    """A stream's lines with their ends, decoded a block of whole lines at a time."""

    def __init__(self, stream: ByteStream, encoding: str, max_row: int) -> None:
        self._stream = stream
        self._encoding = encoding
        self._max_row = max_row
        self._read = 0
        """Lines before the block that is being decoded."""
        self._end = b"\n"
        self.taken: list[str] = []
        """The lines that the csv reader has taken for the row it is at; whoever gets the row clears it."""

    def counted(self) -> Iterator[str]:
        """The lines, each noted in `taken`. Asked for another at the end while a row is open: its quote is open too."""
        taken = self.taken
        note = taken.append
        for block in self._blocks():
            if taken and sum(map(len, taken)) > self._max_row:
                raise BadFileError(_too_long(self._read - len(taken) + 1, self._max_row))
            self._read += len(block)
            for line in block:
                note(line)
                yield line
        if taken:
            raise BadFileError(
                f"the row that begins on line {self._read - len(taken) + 1} opens a quote that is never closed; "
                "what follows can't be told apart into rows. Mend the file and send it again"
            )

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks():
            self._read += len(block)
            yield from block

    def _blocks(self) -> Iterator[list[str]]:
        held: list[bytes] = []
        held_size = 0
        chunk = self._begin()
        while chunk:
            if (nul := chunk.find(b"\0")) >= 0:
                line = self._read + b"".join((*held, chunk[:nul])).count(self._end) + 1
                raise BadFileError(
                    f"there is a NUL byte on line {line}: it is no text file, or one in UTF-16; write it as UTF-8"
                )
            cut = chunk.rfind(self._end) + 1
            if not cut:
                held.append(chunk)
                held_size += len(chunk)
                if held_size > self._max_row:
                    raise BadFileError(_too_long(self._read + 1, self._max_row))
            else:
                yield self._lines(b"".join((*held, chunk[:cut])))
                held = [chunk[cut:]]
                held_size = len(chunk) - cut
            chunk = self._stream.read(BLOCK)
        if held_size:
            yield self._lines(b"".join(held))

    def _begin(self) -> bytes:
        chunk = first_block(self._stream, self._encoding)
        if b"\n" not in chunk and b"\r" in chunk:
            self._end = b"\r"
        return chunk

    def _lines(self, block: bytes) -> list[str]:
        try:
            text = block.decode(self._encoding)
        except UnicodeDecodeError as error:
            line = self._read + block.count(self._end, 0, error.start) + 1
            raise BadFileError(
                f"line {line} holds a byte (0x{block[error.start]:02x}) that is not {self._encoding}; "
                "mend the file, or name its encoding in the dataset"
            ) from None
        end = self._end.decode()
        lines = [line + end for line in text.split(end)]
        if lines[-1] == end:
            lines.pop()
        else:
            lines[-1] = lines[-1][: -len(end)]
        return lines


def _too_long(line: int, most: int) -> str:
    shown = f"{most // 2**20} MiB" if most % 2**20 == 0 else f"{most} bytes"
    return (
        f"the row that begins on line {line} is longer than {shown}: a quote that is never closed, or a file without "
        "line ends. Mend the file, or raise limits: max_row of the dataset"
    )
