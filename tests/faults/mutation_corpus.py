"""The protections against bad input, each with what takes it out, and the case of the corpus that has to notice."""

from __future__ import annotations

from tests.faults.mutation_kinds import Mutation, Patch

_CASE = "tests/corpus/test_bad_input.py::test_a_bad_file_ends_as_the_corpus_says"
_KEPT = "tests/corpus/test_bad_input.py::test_the_file_is_kept_as_it_came_and_what_was_wrong_stands_beside_it"
_SAME = "tests/corpus/test_bad_input.py::test_rows_are_loaded_or_rejected_and_documents_are_the_loaded_rows"
_MODEL = "penstock.model."
_LOADS = "penstock.adapters.postgres."


def _one(what: str, module: str, old: str, new: str, case: str, test: str = _CASE) -> Mutation:
    return Mutation(what, (Patch(module, old, new),), (f"{test}[{case}]",))


CORPUS = {
    # ── compression ─────────────────────────────────────────────────────────────────────────────────────────────────
    "no-ratio": _one(
        "a compressed file may unpack to any multiple of its size",
        _MODEL + "compression",
        "if self._unpacked > _RATIO_FROM and self._unpacked > limits.max_ratio * self._packed.taken:",
        "if False:",
        "a decompression bomb of rows",
    ),
    "no-most-unpacked": _one(
        "a compressed file may unpack to any size",
        _MODEL + "compression",
        "if self._unpacked > limits.max_uncompressed:",
        "if False:",
        "gzip of more than limits: max_uncompressed",
    ),
    "truncated-is-whole": _one(
        "compressed data that ends early is a whole file",
        _MODEL + "compression",
        "                raise _ends_early(self._kind.name)\n            if member.eof:",
        '                return b""\n            if member.eof:',
        "gzip, cut off between rows in its second member",
    ),
    "rest-is-passed-over": _one(
        "what stands behind compressed data is passed over",
        _MODEL + "compression",
        "            raise _is_none(kind.name) if first else _something_behind(kind.name)",
        "            if first:\n                raise _is_none(kind.name)\n            return None",
        "gzip with text behind it",
    ),
    # ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────
    "still-compressed": _one(
        "a file that is still compressed is read as text",
        _MODEL + "first_bytes",
        "        if block.startswith(magic) and",
        "        if False and",
        "gzip in gzip",
    ),
    "no-nul-check": _one(
        "a NUL byte is a character like others",
        _MODEL + "text_lines",
        'if (nul := chunk.find(b"\\0")) >= 0:',
        'if (nul := chunk.find(b"\\0")) >= 0 and False:',
        "a NUL byte",
    ),
    "no-utf-16-check": _one(
        "UTF-16 is read as UTF-8",
        _MODEL + "first_bytes",
        "if block.startswith(_UTF16_BOMS):",
        "if False:",
        "UTF-16 with a byte order mark",
    ),
    "byte-order-mark-stays": _one(
        "a byte order mark is part of the first value",
        _MODEL + "first_bytes",
        'return block.removeprefix(_UTF8_BOM) if encoding == "utf-8" else block',
        "return block",
        "a byte order mark of UTF-8 in JSON Lines",
    ),
    "wrong-bytes-are-replaced": _one(
        "bytes that are not of the encoding become question marks",
        _MODEL + "text_lines",
        "text = block.decode(self._encoding)",
        'text = block.decode(self._encoding, "replace")',
        "Latin-1 where UTF-8 is said",
    ),
    "endless-row": _one(
        "a row may be of any length",
        _MODEL + "text_lines",
        "                if held_size > self._max_row:",
        "                if False:",
        "a row longer than limits: max_row",
    ),
    "open-quote-ends-the-file": _one(
        "a quote that is never closed swallows the rest of the file",
        _MODEL + "text_lines",
        "        if taken:\n            raise BadFileError(",
        "        if False:\n            raise BadFileError(",
        "a quote that is never closed",
    ),
    # ── CSV ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    "columns-are-not-counted": _one(
        "what a row has beyond its columns is dropped",
        _MODEL + "rows",
        "                if len(fields) == width:\n",
        "                fields = fields[:width]\n                if len(fields) == width:\n",
        "too many columns",
    ),
    "header-is-not-compared": _one(
        "columns are taken by their place, whatever the header says",
        _MODEL + "rows",
        "    return tuple(known[name] for name in found)",
        "    return dataset.columns",
        "the header's columns in another order",
    ),
    "header-is-quoted-raw": _one(
        "a name from a file's header stands in a message as it is",
        _MODEL + "rows",
        "    return name if name.isprintable() and 0 < len(name) <= 63 else repr(name[:40])",
        "    return name",
        "the header has an empty name",
    ),
    "copy-reads-stray-quotes": _one(
        "COPY is given files whose quotes it reads in another way",
        _LOADS + "csv_body",
        "        if self._opened < (self._quotes + 1) // 2 or self._closed < self._quotes // 2:",
        "        if False:",
        "stray quotes in two rows, between which COPY sees one value",
    ),
    # ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────────────
    "any-json-is-a-row": _one(
        "what is no object is a row without values",
        _MODEL + "json_rows",
        '    return Row(line, raw, (), f"a JSON object was expected, and this is {_kind(value, in_array)}")',
        "    return Row(line, raw, tuple(None for _ in names))",
        "lines that are no objects",
    ),
    "nan-is-null": _one(
        "NaN and Infinity in JSON are null",
        _MODEL + "json_rows",
        "        value = orjson.loads(raw)\n    except",
        '        value = orjson.loads(re.sub(r"-?(NaN|Infinity)", "null", raw))\n    except',
        "NaN",
    ),
    "first-key-counts": _one(
        "of a key that stands twice the search branch takes the first",
        _MODEL + "json_rows",
        "    if isinstance(value, dict):\n        return Row(line, raw, tuple(map(value.get, names)))",
        "    if isinstance(value, dict):\n        pairs = json.loads(raw, object_pairs_hook=lambda pairs: pairs)\n"
        "        value = dict(reversed(pairs))\n        return Row(line, raw, tuple(map(value.get, names)))",
        "a key twice, the last one counts, with exact columns",
        _SAME,
    ),
    "deep-json-is-an-outage": _one(
        "JSON that is nested too deep for the server's stack fails the batch",
        _LOADS + "judge",
        "        if column.type is not ColumnType.JSON:\n            return soft\n",
        "        return soft\n",
        "JSON in a CSV",
    ),
    # ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────
    "date-order-of-the-server": _one(
        "`01/02/2023` is what the server's DateStyle says",
        _LOADS + "load_file",
        'f"ISO, {self.dataset.date_order.upper()}"',
        '"ISO, MDY"',
        "dates that read in two ways",
    ),
    "today-in-csv": _one(
        "`today` in a CSV is a date",
        _LOADS + "clean_csv",
        "    if has_times(dataset):\n",
        "    if False:\n",
        "dates that depend on today",
    ),
    "today-is-judged-a-date": _one(
        "the judge of rows takes `today` for a date",
        _LOADS + "judge",
        "        if column.type in TIMES:\n            tests.append(says_word(value))\n",
        "",
        "moments that depend on today",
    ),
    "today-in-json": _one(
        "`today` in JSON is a date",
        _LOADS + "clean_json",
        "                        if type(values[place]) is str and says_a_word(values[place]):",
        "                        if False:",
        "dates that depend on today in JSON",
    ),
    "today-in-exact-json": _one(
        "`today` in JSON that the database reads is a date",
        _LOADS + "clean_json",
        "sql.SQL(\"(CASE WHEN {} THEN 'no date' ELSE {} END)::{}\").format(says_word(value), value, sql_type(column))",
        'sql.SQL("{}::{}").format(value, sql_type(column))',
        "dates that depend on today in JSON, with exact columns",
    ),
    # ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────
    "long-keys-as-they-are": _one(
        "a key that is too long with its arrival's id is used all the same",
        _MODEL + "arrivals",
        "    if len(key.encode()) <= MAX_KEY_BYTES:",
        "    if True:",
        "a key with all 1,024 bytes",
        _KEPT,
    ),
}
