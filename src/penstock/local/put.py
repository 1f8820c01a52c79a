"""Puts files into `incoming/`, several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.local.deployment import Deployment
from penstock.model.arrivals import INCOMING, MAX_KEY_BYTES
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError

THREADS = 8


@dataclass(frozen=True)
class Put:
    """A file to put, and the key that it gets."""

    path: Path
    key: str
    size: int


def plan_puts(paths: Iterable[Path], dataset: Dataset) -> list[Put]:
    """What `paths` hold: files, and folders with all that is in them, whose structure the keys keep.

    Raises PermanentError when there is nothing, when two files would get one key, or for a key that S3 refuses.
    """
    puts = [
        Put(path, f"{INCOMING}{dataset.prefix}{name.as_posix()}", path.stat().st_size) for path, name in _files(paths)
    ]
    if not puts:
        raise PermanentError("there are no files to put: the folders are empty")
    seen: dict[str, Path] = {}
    for put in puts:
        if put.key in seen:
            raise PermanentError(f"{seen[put.key]} and {put.path} would both become {put.key}. Put one, then the other")
        if len(put.key.encode()) > MAX_KEY_BYTES:
            raise PermanentError(f"{put.path} would get a key of more than {MAX_KEY_BYTES} bytes, which S3 refuses")
        seen[put.key] = put.path
    return puts


def put_files(
    deployment: Deployment, puts: Sequence[Put], moved: Callable[[int], None] = lambda _: None
) -> list[dict[str, Any]]:
    """Puts them; what was put, in order. `moved` is told bytes as they go, from several threads."""
    client = deployment.client("s3")

    def one(put: Put) -> dict[str, Any]:
        client.upload_file(str(put.path), deployment.bucket, put.key, Callback=moved)
        return {"path": str(put.path), "key": put.key, "bytes": put.size}

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, puts))


def put_bodies(deployment: Deployment, bodies: Iterable[tuple[str, bytes]], put: Callable[[str], None]) -> None:
    """Puts bytes under keys (below `incoming/`); `put` is told each key that is there."""
    client = deployment.client("s3")

    def one(item: tuple[str, bytes]) -> None:
        key, body = item
        client.put_object(Bucket=deployment.bucket, Key=key, Body=body)
        put(key)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, bodies))


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    for path in paths:
        if path.is_dir():
            found = sorted(item for item in path.rglob("*") if item.is_file())
            yield from ((item, item.relative_to(path)) for item in found)
        elif path.exists():
            yield path, Path(path.name)
        else:
            raise PermanentError(f"{path}: there is no such file")
