"""Odd keys and bad files, all at once, through the whole template: each ends in processed/ or failed/, as it came."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests.corpus.of_keys import KEYS
from tests.integration.operating import ask, at_rest
from tests.integration.processes import eventually

from penstock.local.stack import LocalStack
from penstock.model.arrivals import Arrival, settled_key

HEADER = b"tailnum,year,type,manufacturer,model,engines,seats,speed,engine\n"


NAMES = [name for name in KEYS.values() if not set("\x01\r\n") & set(name)]
"""MiniStack leaves keys in a listing as they are, where S3 encodes what XML can't hold; and `*` of its policies matches
no newline. Those keys go through the steps in tests/corpus alone."""


def plane(number: int) -> bytes:
    return HEADER + b"CORPUS%d,2013,NA,NA,NA,2,2,NA,NA\n" % number


BAD = {
    "corpus/cut off.csv.gz": (gzip.compress(plane(900) * 50)[:-20], "the gzip data ends early"),
    "corpus/empty.csv": (b"", "the file is empty"),
    "corpus/nul.csv": (plane(901) + b"\0", "there is a NUL byte on line 3"),
    "corpus/latin.csv": (plane(902).replace(b"NA", "\u00eb".encode("latin-1"), 1), "that is not utf-8"),
    "corpus/header changed.csv": (b"tailnum,colour\nx,red\n", "the header changed"),
    "corpus/open quote.csv": (plane(903) + b'"CORPUS904,2013\n', "opens a quote that is never closed"),
    "corpus/one bad row.csv": (plane(905) + b"CORPUS906,soon,NA,NA,NA,2,2,NA,NA\n", "line 3, column year"),
}


def listed(stack: LocalStack, prefix: str) -> list[str]:
    pages = stack.client("s3").get_paginator("list_objects_v2").paginate(Bucket=stack.bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def test_every_arrival_ends_in_processed_or_failed_with_its_bytes_and_its_reason(stack: LocalStack) -> None:
    s3, bucket = stack.client("s3"), stack.bucket
    arrivals: dict[str, tuple[Arrival, bytes]] = {}

    def put(name: str, data: bytes) -> None:
        key = f"incoming/planes/{name}"
        answer = s3.put_object(Bucket=bucket, Key=key, Body=data)
        head = s3.head_object(Bucket=bucket, Key=key)
        arrival = Arrival(bucket, key, answer["VersionId"], len(data), "", head["LastModified"])
        arrivals[key] = arrival, data

    for number, name in enumerate(NAMES):
        put(name, plane(number))
    for name, (data, _) in BAD.items():
        put(name, data)
    # Named as the prefix itself, it is a file; without bytes it would be what a console makes for a folder.
    put("", plane(800))
    folder = s3.put_object(Bucket=bucket, Key="incoming/planes/folder/", Body=b"")

    def waiting() -> set[str]:
        return set(listed(stack, "incoming/planes/")) - {"incoming/planes/folder/"}

    assert eventually(lambda: not waiting(), 40), waiting()

    def content(key: str) -> bytes:
        data: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    for key, (arrival, data) in arrivals.items():
        name = key.removeprefix("incoming/planes/")
        root = "failed/" if name in BAD else "processed/"
        settled = settled_key(root, "planes", "planes/", arrival)
        assert content(settled) == data, key
        if name in BAD:
            reason: dict[str, Any] = json.loads(content(f"{settled}.reason.json"))
            assert reason["key"] == key
            assert BAD[name][1] in reason["reason"]
    [one_bad_row] = [settled_key("failed/", "planes", "planes/", a) for k, (a, _) in arrivals.items() if "one bad" in k]
    [reject] = [json.loads(line) for line in content(f"{one_bad_row}.rejects.jsonl").splitlines()]
    assert (reject["file"], reject["line"], reject["column"]) == ("incoming/planes/corpus/one bad row.csv", 3, "year")
    assert reject["raw"].startswith("CORPUS906,soon")
    assert reject["reason"] == "invalid input syntax for type smallint; write a whole number from -32768 to 32767"

    found = ask(stack, "SELECT tailnum FROM public.planes WHERE tailnum LIKE 'CORPUS%'")
    assert sorted(name for (name,) in found) == sorted(f"CORPUS{number}" for number in (*range(len(NAMES)), 800))
    s3.delete_object(Bucket=bucket, Key="incoming/planes/folder/", VersionId=folder["VersionId"])
    assert eventually(lambda: at_rest(stack))
