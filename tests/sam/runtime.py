"""What Lambda's Python runtime has without a function's doing: its SDK and its own interface, of this environment."""

from __future__ import annotations

from pathlib import Path

import awslambdaric

_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
_INTERFACE = ("awslambdaric", "runtime_client*", "simplejson", "snapshot_restore_py")


def sdk(folder: Path) -> Path:
    """`folder`, with the SDK in it and nothing else."""
    return _linked(folder, _SDK)


def runtime(folder: Path) -> Path:
    """`folder`, with the SDK in it and what calls the handler."""
    return _linked(folder, (*_INTERFACE, *_SDK))


def _linked(folder: Path, patterns: tuple[str, ...]) -> Path:
    for pattern in patterns:
        for found in Path(awslambdaric.__file__).parents[1].glob(pattern):
            (folder / found.name).symlink_to(found)
    return folder
