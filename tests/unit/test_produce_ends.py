"""How `penstock produce` ends: stopped, or before a stream that takes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fakes.kinesis_endpoint import Stream, Trouble, kinesis_endpoint


@pytest.fixture
def stream() -> Iterator[Stream]:
    with kinesis_endpoint() as made:
        yield made


@contextmanager
def produce(stream: Stream, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    told = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_KINESIS": stream.endpoint,
    }
    command = [
        sys.executable,
        "-c",
        # A mutation that its tests are to notice holds for the process that they start as well.
        "import tests.faults.mutating; from penstock.cli.app import app; app()",
        "produce",
        "--aws",
        "--stream",
        "clicks",
        "--json",
        *arguments,
    ]
    with subprocess.Popen(
        command, env=os.environ | told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process


def test_one_that_is_told_to_stop_leaves_on_disk_what_it_could_not_send(stream: Stream, tmp_path: Path) -> None:
    stream.trouble = Trouble(throttled=1.0)
    path, spill = tmp_path / "a.jsonl", tmp_path / "spill"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(50)))

    with produce(stream, str(path), "--follow", "--spill", str(spill)) as process:
        assert stream.asked.wait(60)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate()

    assert process.returncode == 1
    assert json.loads(said)["on_disk"] == 50
    assert sum(len(one.read_bytes().splitlines()) for one in spill.glob("spill-*.jsonl")) == 50


def test_a_stream_that_takes_nothing_is_said_and_ends_it_where_nothing_goes_to_disk(
    stream: Stream, tmp_path: Path
) -> None:
    stream.trouble = Trouble(code="AccessDeniedException")
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(50)))

    with produce(stream, str(path), "--follow") as process:
        _, said = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "50 events were not sent: stream clicks did not take it: AccessDeniedException" in " ".join(said.split())
