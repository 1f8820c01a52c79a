"""The elements of a JSON file that is one array, each as its own text, however long the array is.

The standard library's decoder finds where an element ends. What it makes of the element is thrown away: the text is
what a reject shows, and what the warehouse reads, which keeps digits that Python would round. (ijson streams values,
and forgets their text.) Python's decoder is also the more lenient of the two: a fault within an element that it can
step over is a row's, and the reader of rows has words for it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

from penstock.model.errors import BadFileError
from penstock.model.first_bytes import BLOCK, first_block
from penstock.model.streams import ByteStream

_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)
_CLOSING = '}]"'
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER_GOES_ON = re.compile(r"-|\.|[eE][-+]?")
_UNENDED = 16
"""Characters: the longest word or escape, of which a fault this near to the end may be the cut-off half."""

_ENDS_EARLY = "the JSON array ends early: the upload was cut off; send the file again"


def elements(stream: ByteStream, max_row: int) -> Iterator[tuple[int, str]]:
    """The array's elements in their order: the physical line on which each begins, from 1, and its text.

    At most `max_row` bytes and a block are held. Raises BadFileError for what is no JSON array, ends early, has
    something behind it, or holds an element of which the end can't be told.
    """
    return _Array(_texts(stream), max_row).elements()


def elements_of_sample(text: str) -> Iterator[str]:
    """The whole elements of an array's beginning. Raises ValueError, in an operator's words."""
    try:
        for _, element in _Array(iter([text]), len(text)).elements():
            yield element
    except BadFileError as error:
        if str(error) != _ENDS_EARLY:
            raise ValueError(str(error)) from None


def _texts(stream: ByteStream) -> Iterator[str]:
    decode = codecs.getincrementaldecoder("utf-8")().decode
    lines = 1
    chunk = first_block(stream, "utf-8")
    while True:
        try:
            if (nul := chunk.find(b"\0")) >= 0:
                line = lines + chunk.count(b"\n", 0, nul)
                raise BadFileError(
                    f"there is a NUL byte on line {line}: it is no text file, or one in UTF-16; write it as UTF-8"
                )
            text = decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line = lines + error.object.count(b"\n", 0, error.start)
            raise BadFileError(
                f"line {line} holds a byte (0x{error.object[error.start]:02x}) that is not utf-8; mend the file"
            ) from None
        lines += text.count("\n")
        if not chunk:
            return
        yield text
        chunk = stream.read(BLOCK)


class _Array:
    def __init__(self, texts: Iterator[str], max_row: int) -> None:
        self._texts = texts
        self._max_row = max_row
        self._text = ""
        self._at = 0
        self._line = 1
        """The line of `_at`."""

    def elements(self) -> Iterator[tuple[int, str]]:
        if not (opens := self._next()):
            raise BadFileError("the file holds nothing but white space; send it again if it should hold rows")
        if opens != "[":
            raise BadFileError(
                "a JSON array was expected, and the file does not begin with one; write the objects as an array, or "
                "say format: jsonl where each stands on a line of its own"
            )
        self._pass(1)
        more = self._next() != "]"
        if not more:
            self._pass(1)
        while more:
            line, text = self._line, self._element()
            yield line, text
            sign = self._next()
            if sign not in (",", "]"):
                raise self._broken("a comma was expected") if sign else BadFileError(_ENDS_EARLY)
            more = sign == ","
            self._pass(1)
            if more:
                self._next()
        if self._next():
            raise BadFileError(
                f"something stands behind the JSON array, on line {self._line}; send one array in a file"
            )

    def _next(self) -> str:
        """The next character that is no white space, which is passed over; "" at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._pass(match.end() - self._at if match else 0)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill(1):
                return ""

    def _element(self) -> str:
        wanted, ended = 2 * BLOCK, False
        while True:
            fault, place, end = "", 0, 0
            try:
                _, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                fault, place = error.msg, error.pos
                if not fault.startswith("Unterminated") and place < len(self._text) - _UNENDED:
                    raise self._broken(_words(fault), place) from None
            except RecursionError:
                raise BadFileError(
                    f"the row that begins on line {self._line} is nested too deep to be read; mend the file"
                ) from None
            # A number near the end may go on behind it: of `1.5` there may be `1.` as yet.
            if not fault and (self._text[end - 1] in _CLOSING or end < len(self._text) - (0 if ended else _UNENDED)):
                text = self._text[self._at : end]
                if len(text) > self._max_row:
                    raise self._too_long()
                self._pass(len(text))
                return text
            if len(self._text) - self._at > self._max_row:
                raise self._too_long()
            place -= self._at  # `_fill` moves it.
            if self._fill(wanted):
                wanted *= 2  # Else an element of many blocks would be begun anew with each of them.
            elif not fault and not ended:
                ended = True
            else:
                if fault and not _cut_off(fault, self._text[place:]):
                    raise self._broken(_words(fault), place)
                raise BadFileError(_ENDS_EARLY)

    def _fill(self, wanted: int) -> bool:
        """Whether there was more. Reads `wanted` characters, or the rest, and forgets what was passed."""
        pieces = [self._text[self._at :]]
        size = 0
        for piece in self._texts:
            pieces.append(piece)
            size += len(piece)
            if size >= wanted:
                break
        self._text, self._at = "".join(pieces), 0
        return size > 0

    def _pass(self, count: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def _broken(self, why: str, at: int | None = None) -> BadFileError:
        line = self._line + self._text.count("\n", self._at, self._at if at is None else at)
        return BadFileError(
            f"no valid JSON on line {line}: {why}; what follows can't be told apart into rows. Mend the file and send "
            "it again"
        )

    def _too_long(self) -> BadFileError:
        shown = f"{self._max_row // 2**20} MiB" if self._max_row % 2**20 == 0 else f"{self._max_row} bytes"
        return BadFileError(
            f"the row that begins on line {self._line} is longer than {shown}. Mend the file, or raise limits: max_row "
            "of the dataset"
        )


_WORDS = {
    "Expecting value": "a value was expected",
    "Expecting property name enclosed in double quotes": "a name in double quotes was expected",
    "Expecting ':' delimiter": "a colon was expected",
    "Expecting ',' delimiter": "a comma was expected",
    # Python 3.13 and later have words of their own where the two above were said before.
    "Illegal trailing comma before end of object": "a name in double quotes was expected",
    "Illegal trailing comma before end of array": "a value was expected",
}


def _cut_off(fault: str, rest: str) -> bool:
    """Whether a text that ends there can have been the beginning of JSON: `rest` is what stands behind the fault."""
    if fault.startswith("Unterminated") or not rest:
        return True
    if fault.startswith("Invalid \\u"):
        return len(rest) <= len("\\u0000")
    return bool(_NUMBER_GOES_ON.fullmatch(rest)) or any(word.startswith(rest) for word in ("true", "false", "null"))


def _words(fault: str) -> str:
    return _WORDS.get(fault, fault[:1].lower() + fault[1:])
