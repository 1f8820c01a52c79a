"""A process that is killed: the n-th call through its ports raises, and so does every call after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Crash(BaseException):
    """No code may catch it, as no code catches SIGKILL."""


class Crashing:
    """Counts the calls of all ports that go `through` it, and dies at call `calls` (from 0).

    `after` says whether that call still takes effect: killed after it, or before.
    """

    def __init__(self, calls: int, *, after: bool) -> None:
        self._left = calls
        self._after = after
        self.died = False

    def through(self, port: Any) -> Any:
        return _Port(port, self._call)

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left >= 0:
            return method(*args, **kwargs)
        if self._after and not self.died:
            method(*args, **kwargs)
        self.died = True
        raise Crash


class _Port:
    def __init__(self, port: Any, call: Callable[..., Any]) -> None:
        self._port = port
        self._call = call

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *args, **kwargs: self._call(method, *args, **kwargs)
