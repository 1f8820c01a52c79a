"""What can be wrong with CSV: quotes, columns, the header; and what only looks wrong."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

from tests.corpus.case import Case, loads, quarantines

HEADER = b"id,name,born\n"

CASES = (
    Case("a header only", HEADER, loads(0)),
    Case("a header only, without a line end", HEADER[:-1], loads(0)),
    Case(
        "no header",
        b"1,Ada,1815-12-10\n2,Grace,\n",
        quarantines(
            "the first line names none of dataset people's columns (id, name, born): is the header missing, spelt otherwise, or of another delimiter? Mend the file, or say so in the dataset (csv: header, delimiter)"
        ),
    ),
    Case(
        "an empty line before the header",
        b"\n" + HEADER + b"1,Ada,\n",
        quarantines("the first line is empty, where the header should stand; mend the file and send it again"),
    ),
    Case(
        "the header again in the middle, as concatenated files have it",
        HEADER + b"1,Ada,\n" + HEADER + b"2,Grace,\n",
        loads(
            2, (3, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    Case("the header's columns in another order", b"born,id,name\n,1,Ada\n", loads(1)),
    Case("spaces around the header's names", b" id , name,born \n1,Ada,\n", loads(1)),
    Case(
        "the header in capitals",
        b"ID,NAME,BORN\n1,Ada,\n",
        quarantines(
            "the first line names none of dataset people's columns (id, name, born): is the header missing, spelt otherwise, or of another delimiter? Mend the file, or say so in the dataset (csv: header, delimiter)"
        ),
    ),
    Case(
        "the header lacks a column",
        b"id,name\n1,Ada\n",
        quarantines("the header changed: column born is missing. Mend the file, or change dataset people"),
    ),
    Case(
        "the header has a column too many",
        b"id,name,born,age\n1,Ada,,36\n",
        quarantines("the header changed: column age is not in the dataset. Mend the file, or change dataset people"),
    ),
    Case(
        "the header has a column twice",
        b"id,name,name,born\n1,Ada,Ada,\n",
        quarantines("the header changed: column name is there twice. Mend the file, or change dataset people"),
    ),
    Case(
        "the header has an empty name",
        b"id,name,born,\n1,Ada,,\n",
        quarantines("the header changed: column '' is not in the dataset. Mend the file, or change dataset people"),
    ),
    Case(
        "a quote in the header is never closed",
        b'id,"name,born\n1,Ada,\n',
        quarantines(
            "the row that begins on line 1 opens a quote that is never closed; what follows can't be told apart into rows. Mend the file and send it again"
        ),
    ),
    Case(
        "another delimiter",
        b"id;name;born\n1;Ada;\n",
        quarantines(
            "the first line names none of dataset people's columns (id, name, born): is the header missing, spelt otherwise, or of another delimiter? Mend the file, or say so in the dataset (csv: header, delimiter)"
        ),
    ),
    Case(
        "too few columns",
        HEADER + b"1,Ada,\n2,Grace\n3,Mary,\n",
        loads(2, (3, "", "2 columns where 3 were expected; quote what holds a delimiter or a line end")),
    ),
    Case(
        "too many columns",
        HEADER + b"1,Ada,\n2,Grace,,more\n3,Mary,\n",
        loads(2, (3, "", "4 columns where 3 were expected; quote what holds a delimiter or a line end")),
    ),
    Case(
        "a comma without quotes",
        HEADER + b"1,Ada,\n2,Hopper, Grace,\n",
        loads(1, (3, "", "4 columns where 3 were expected; quote what holds a delimiter or a line end")),
    ),
    Case(
        "too few columns where no row may fail",
        HEADER + b"1,Ada,\n2,Grace\n3,Mary,\n",
        quarantines(
            "1 of 3 rows was rejected (0 allowed): line 3: 2 columns where 3 were expected; quote what holds a delimiter or a line end. Mend the file, or raise max_reject_ratio of the dataset",
            (3, "", "2 columns where 3 were expected; quote what holds a delimiter or a line end"),
        ),
        dataset="strict",
    ),
    Case(
        "more bad rows than the dataset allows",
        HEADER + b"1,Ada,\n" + b"x,Ada,\n" * 20,
        quarantines(
            "20 of 21 rows were rejected (18 allowed): line 3, column id: invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647. Mend the file, or raise max_reject_ratio of the dataset",
            (3, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (4, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (5, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (6, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (7, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (8, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (9, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (10, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (11, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (12, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (13, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (14, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (15, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (16, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (17, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (18, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (19, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (20, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (21, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (22, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
        ),
    ),
    Case("a quoted newline", HEADER + b'1,"Ada\nLovelace",\n2,Grace,\n', loads(2)),
    Case(
        "a bad row behind quoted newlines",
        HEADER + b'1,"A\nd\na",\n2,"Gra\r\nce",\nx,Mary,\n',
        loads(
            2, (7, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    Case(
        "a quote that is never closed",
        HEADER + b'1,Ada,\n2,"Grace,\n3,Mary,\n',
        quarantines(
            "the row that begins on line 3 opens a quote that is never closed; what follows can't be told apart into rows. Mend the file and send it again"
        ),
    ),
    Case("a stray quote inside a value", HEADER + b'1,5" pipe,\n2,Grace,\n', loads(2)),
    Case(
        "stray quotes in two rows, between which COPY sees one value",
        HEADER + b'1,5" pipe,\n2,6" pipe,\n',
        loads(2),
    ),
    Case("a stray quote at a value's end", HEADER + b'1,Ada",\n2,Grace,\n', loads(2)),
    Case("text behind a closing quote", HEADER + b'1,"Ada"Lovelace,\n2,Grace,\n', loads(2)),
    Case(
        "quotes escaped by a backslash, which this dataset does not know",
        HEADER + b'1,"Ada \\"the first\\"",\n2,Grace,\n',
        loads(2),
    ),
    Case(
        "single quotes",
        HEADER + b"1,'Ada, Countess',\n2,Grace,\n",
        loads(1, (2, "", "4 columns where 3 were expected; quote what holds a delimiter or a line end")),
    ),
    Case(
        "a line \\. , which ends COPY's data",
        HEADER + b"1,Ada,\n\\.\n2,Grace,\n",
        loads(2, (3, "", "1 column where 3 were expected; quote what holds a delimiter or a line end")),
    ),
    Case(
        "formulas, as spreadsheets run them", HEADER + b"1,=1+cmd|'/c calc'!A0,\n2,@SUM(A1),\n3,+1,\n4,-1,\n", loads(4)
    ),
    Case(
        "SQL in a value",
        HEADER + b'1,\'); DROP TABLE corpus.people; --,\n2,"""; DELETE FROM penstock.load; --",\n',
        loads(2),
    ),
    Case(
        "SQL in a value that is refused",
        HEADER + b"1,Ada,\n1'); DROP TABLE corpus.people; --,Grace,\n",
        loads(
            1, (3, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    Case(
        "SQL in the header",
        b'id,name,"born""); DROP TABLE corpus.people; --"\n1,Ada,\n',
        quarantines(
            'the header changed: column born is missing; column born"); DROP TABLE corpus.people; -- is not in the dataset. Mend the file, or change dataset people'
        ),
    ),
    Case("placeholders and format codes in a value", HEADER + b"1,%s %(x)s {0} $1 :id,\n", loads(1)),
    Case(
        "an empty value of a required column",
        HEADER + b"1,Ada,\n,Grace,\n",
        loads(
            1,
            (
                3,
                "id",
                "it is null, and the column is required; fill it, or take `required` out of the dataset's column",
            ),
        ),
    ),
    Case(
        "a quoted empty value of a required column",
        HEADER + b'1,Ada,\n"",Grace,\n',
        loads(
            1,
            (
                3,
                "id",
                "it is null, and the column is required; fill it, or take `required` out of the dataset's column",
            ),
        ),
    ),
    Case(
        "an image",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)),
        quarantines("there is a NUL byte on line 3: it is no text file, or one in UTF-16; write it as UTF-8"),
    ),
    Case(
        "an HTML error page in place of data",
        b"<!DOCTYPE html>\n<html><body>403 Forbidden</body></html>\n",
        quarantines(
            "the first line names none of dataset people's columns (id, name, born): is the header missing, spelt otherwise, or of another delimiter? Mend the file, or say so in the dataset (csv: header, delimiter)"
        ),
    ),
    Case(
        "JSON in place of CSV",
        b'{"id": 1, "name": "Ada"}\n',
        quarantines(
            "the first line names none of dataset people's columns (id, name, born): is the header missing, spelt otherwise, or of another delimiter? Mend the file, or say so in the dataset (csv: header, delimiter)"
        ),
    ),
)
