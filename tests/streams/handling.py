"""The function itself, `functions/process_stream`, with a schedule's world in the place of what wiring gives it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from functions.process_stream.app import handler
from tests.faults.schedules.choices import Choices
from tests.lambda_context import FakeContext
from tests.streams.world import World

from penstock import wiring
from penstock.handler import logger
from penstock.model.stream_events import EventFields, Poison

_CONTEXT = FakeContext()


class _Queue:
    def __init__(self, world: World) -> None:
        self._world = world

    def put_aside(self, _stream: str, shard: str, poison: Sequence[Poison]) -> None:
        self._world.put_aside(shard, poison)


def process_stream(_world: World, event: Mapping[str, Any]) -> object:
    return handler(event, _CONTEXT)


@contextmanager
def handled(world: World) -> Iterator[World]:
    """The handler's ports are the world's; its log would be longer than the schedule."""
    before = logger.log_level
    logger.setLevel(logging.CRITICAL)
    try:
        with patch.multiple(
            wiring,
            counts=lambda: world.counts,
            poison_queue=lambda: _Queue(world),
            clock=lambda: world.clock,
            streaming=lambda: wiring.Streaming(EventFields(), world.window),
        ):
            yield world
    finally:
        logger.setLevel(before)


def failure(choices: Choices, **fixed: Any) -> tuple[str, list[str]]:
    """What was wrong in the end, empty when nothing was, and what had happened."""
    with handled(World(choices, process_stream, **fixed)) as world:
        try:
            world.run()
        except AssertionError as error:
            return str(error) or "an assertion", world.story
    return "", world.story
