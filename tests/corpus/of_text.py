"""What can be wrong with a file as text: its encoding, its line ends, its size."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

from tests.corpus.case import Case, loads, quarantines

HEADER = b"id,name,born\n"


def line_of_40_mb() -> bytes:
    return HEADER + b"1,Ada,\n2," + b"x" * 40_000_000 + b",\n3,Grace,\n"


CASES = (
    Case("an empty file", b"", quarantines("the file is empty; send it again if it should hold rows")),
    Case(
        "an empty file of JSON Lines",
        b"",
        quarantines("the file is empty; send it again if it should hold rows"),
        dataset="events",
    ),
    Case(
        "nothing but white space",
        b" \n\t\n\r\n",
        quarantines("the first line is empty, where the header should stand; mend the file and send it again"),
    ),
    Case(
        "nothing but line ends",
        b"\n\n\n",
        quarantines("the first line is empty, where the header should stand; mend the file and send it again"),
    ),
    Case(
        "nothing but white space in JSON Lines",
        b" \n\t\n\n",
        quarantines("the file holds nothing but white space; send it again if it should hold rows"),
        dataset="events",
    ),
    Case(
        "nothing but white space in JSON Lines, other columns",
        b" \n\t\n\n",
        quarantines("the file holds nothing but white space; send it again if it should hold rows"),
        dataset="clicks",
    ),
    Case(
        "Latin-1 where UTF-8 is said",
        HEADER + "1,Ada,\n2,Zoë,\n".encode("latin-1"),
        quarantines("line 3 holds a byte (0xeb) that is not utf-8; mend the file, or name its encoding in the dataset"),
    ),
    Case(
        "Latin-1 in JSON Lines",
        '{"id": 1}\n{"id": 2, "name": "Zoë"}\n'.encode("latin-1"),
        quarantines("line 2 holds a byte (0xeb) that is not utf-8; mend the file, or name its encoding in the dataset"),
        dataset="events",
    ),
    Case(
        "Latin-1 in JSON Lines, other columns",
        '{"id": 1}\n{"id": 2, "name": "Zoë"}\n'.encode("latin-1"),
        quarantines("line 2 holds a byte (0xeb) that is not utf-8; mend the file, or name its encoding in the dataset"),
        dataset="clicks",
    ),
    Case("Latin-1 as the dataset says", HEADER + "1,Zoë,\n".encode("latin-1"), loads(1), dataset="latin"),
    Case(
        "a surrogate in UTF-8 (CESU-8)",
        HEADER + b"1,\xed\xa0\xbd\xed\xb8\x80,\n",
        quarantines("line 2 holds a byte (0xed) that is not utf-8; mend the file, or name its encoding in the dataset"),
    ),
    Case(
        "a UTF-8 character that the file's end cuts",
        HEADER + b"1,Zo\xc3",
        quarantines("line 2 holds a byte (0xc3) that is not utf-8; mend the file, or name its encoding in the dataset"),
    ),
    Case(
        "an overlong UTF-8 sequence",
        HEADER + b"1,\xc0\xaf,\n",
        quarantines("line 2 holds a byte (0xc0) that is not utf-8; mend the file, or name its encoding in the dataset"),
    ),
    Case("a byte order mark of UTF-8", b"\xef\xbb\xbf" + HEADER + b"1,Ada,\n", loads(1)),
    Case("a byte order mark of UTF-8 in JSON Lines", b'\xef\xbb\xbf{"id": 1}\n', loads(1), dataset="events"),
    Case(
        "a byte order mark of UTF-8 in JSON Lines, other columns",
        b'\xef\xbb\xbf{"id": 1}\n',
        loads(1),
        dataset="clicks",
    ),
    Case(
        "nothing but a byte order mark",
        b"\xef\xbb\xbf",
        quarantines("the file is empty: there is not even a header; send it again"),
    ),
    Case(
        "two byte order marks",
        b"\xef\xbb\xbf\xef\xbb\xbf" + HEADER + b"1,Ada,\n",
        quarantines(
            "the header changed: column id is missing; column '\\ufeffid' is not in the dataset. Mend the file, or change dataset people"
        ),
    ),
    Case("a byte order mark before a quoted header", b'\xef\xbb\xbf"id","name","born"\n1,Ada,\n', loads(1)),
    Case(
        "UTF-16 with a byte order mark",
        (HEADER + b"1,Ada,\n").decode().encode("utf-16"),
        quarantines("the file is UTF-16 or UTF-32; write it as UTF-8"),
    ),
    Case(
        "UTF-16 without one",
        (HEADER + b"1,Ada,\n").decode().encode("utf-16-le"),
        quarantines("there is a NUL byte on line 1: it is no text file, or one in UTF-16; write it as UTF-8"),
    ),
    Case(
        "UTF-16 in JSON Lines",
        '{"id": 1}\n'.encode("utf-16"),
        quarantines("the file is UTF-16 or UTF-32; write it as UTF-8"),
        dataset="events",
    ),
    Case(
        "UTF-32",
        (HEADER + b"1,Ada,\n").decode().encode("utf-32"),
        quarantines("the file is UTF-16 or UTF-32; write it as UTF-8"),
    ),
    Case(
        "a NUL byte",
        HEADER + b"1,Ada,\n2,A\0a,\n",
        quarantines("there is a NUL byte on line 3: it is no text file, or one in UTF-16; write it as UTF-8"),
    ),
    Case(
        "a NUL byte in JSON Lines",
        b'{"id": 1}\n{"id": 2, "name": "A\0a"}\n',
        quarantines("there is a NUL byte on line 2: it is no text file, or one in UTF-16; write it as UTF-8"),
        dataset="events",
    ),
    Case(
        "a NUL byte in JSON Lines, other columns",
        b'{"id": 1}\n{"id": 2, "name": "A\0a"}\n',
        quarantines("there is a NUL byte on line 2: it is no text file, or one in UTF-16; write it as UTF-8"),
        dataset="clicks",
    ),
    Case(
        "nothing but NUL bytes",
        bytes(5000),
        quarantines("there is a NUL byte on line 1: it is no text file, or one in UTF-16; write it as UTF-8"),
    ),
    Case("lines that end in CRLF", HEADER.replace(b"\n", b"\r\n") + b"1,Ada,\r\n2,Grace,\r\n", loads(2)),
    Case("lines that end in CR", HEADER.replace(b"\n", b"\r") + b"1,Ada,\r2,Grace,\r", loads(2)),
    Case("CRLF and LF mixed", HEADER + b"1,Ada,\r\n2,Grace,\n3,Mary,\r\n", loads(3)),
    Case(
        "CR among LF",
        HEADER + b"1,Ada,\n2,Gr\race,\n3,Mary,\n",
        loads(2, (3, "", "there is a carriage return outside quotes; quote the value, or end lines with LF or CRLF")),
    ),
    Case(
        "CR among CRLF",
        HEADER.replace(b"\n", b"\r\n") + b"1,Ada,\r2,Grace,\r\n3,Mary,\r\n",
        loads(1, (2, "", "there is a carriage return outside quotes; quote the value, or end lines with LF or CRLF")),
    ),
    Case("a quoted CR", HEADER + b'1,"A\rda",\n', loads(1)),
    Case("JSON Lines that end in CRLF", b'{"id": 1}\r\n{"id": 2}\r\n', loads(2), dataset="events"),
    Case("JSON Lines that end in CR", b'{"id": 1}\r{"id": 2}\r', loads(2), dataset="events"),
    Case("JSON Lines that end in CR, other columns", b'{"id": 1}\r{"id": 2}\r', loads(2), dataset="clicks"),
    Case(
        "line separators of Unicode (U+2028, U+0085, VT, FF) in a value",
        HEADER + "1,A\u2028d\u0085a\x0b\x0c,\n".encode(),
        loads(1),
    ),
    Case("no line end at the end", HEADER + b"1,Ada,\n2,Grace,", loads(2)),
    Case("empty lines between rows", HEADER + b"\n1,Ada,\n\n\n2,Grace,\n\n", loads(2)),
    Case("control characters and ANSI escapes in a value", HEADER + b"1,\x1b[31mAda\x07\x08\x7f,\n", loads(1)),
    Case(
        "a line of 40 MB",
        line_of_40_mb,
        quarantines(
            "the row that begins on line 3 is longer than 16 MiB: a quote that is never closed, or a file without line ends. Mend the file, or raise limits: max_row of the dataset"
        ),
    ),
    Case(
        "a line of 40 MB of JSON",
        lambda: b'{"id": 1}\n{"id": 2, "name": "' + b"x" * 40_000_000 + b'"}\n',
        quarantines(
            "the row that begins on line 2 is longer than 16 MiB: a quote that is never closed, or a file without line ends. Mend the file, or raise limits: max_row of the dataset"
        ),
        dataset="events",
    ),
    Case(
        "a line of 40 MB of JSON, other columns",
        lambda: b'{"id": 1}\n{"id": 2, "name": "' + b"x" * 40_000_000 + b'"}\n',
        quarantines(
            "the row that begins on line 2 is longer than 16 MiB: a quote that is never closed, or a file without line ends. Mend the file, or raise limits: max_row of the dataset"
        ),
        dataset="clicks",
    ),
    Case(
        "a header of 40 MB",
        lambda: b"id," + b"x" * 40_000_000,
        quarantines(
            "the row that begins on line 1 is longer than 16 MiB: a quote that is never closed, or a file without line ends. Mend the file, or raise limits: max_row of the dataset"
        ),
    ),
    Case("a line of 12 MB, which is within the limit", lambda: HEADER + b"1," + b"x" * 12_000_000 + b",\n", loads(1)),
    Case(
        "a row longer than limits: max_row",
        HEADER + b"1,Ada,\n2," + b"x" * 2_000_000 + b",\n",
        quarantines(
            "the row that begins on line 3 is longer than 1 MiB: a quote that is never closed, or a file without line ends. Mend the file, or raise limits: max_row of the dataset"
        ),
        dataset="small",
    ),
)
