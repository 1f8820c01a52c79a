"""Tasks that take turns on a virtual clock: one runs until its next port call, then another may.

A task is a Lambda's invocation, or the run that waits for some. They are greenlets of one thread, so that a schedule is
a function of its choices alone and can be replayed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlet import getcurrent, greenlet
from tests.fakes.crashing import Crash
from tests.faults.schedules.choices import Choices

BEGIN = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
CALL = 0.02
"""Virtual seconds that a port call takes."""


class Task:
    """`deadline` is when its Lambda is killed; `abandoned` says that its caller was told that it failed."""

    def __init__(self, scheduler: Scheduler, name: str, work: Callable[[], Any], lasting: float) -> None:
        self.name = name
        self.ready_at = scheduler.now
        self.deadline = scheduler.now + lasting
        self.dead = False
        self.done = False
        self.abandoned = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiters: list[Task] = []
        self._scheduler = scheduler
        self._work = work
        self.green = greenlet(self._run, scheduler.hub)

    def _run(self) -> None:
        try:
            if not self.dead:
                self.result = self._work()
        except Crash as crash:
            self.error = crash
        except Exception as error:  # noqa: BLE001 - what a Lambda raises is its caller's to judge
            self.error = error
        self.done = True
        self._scheduler.wake(self)


class Scheduler:
    def __init__(self, choices: Choices, *, tracing: bool = False) -> None:
        self.choices = choices
        self.hub = getcurrent()
        self.now = 0.0
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self.switching = True
        """Whether another task may be let in between; else each runs on until it waits."""
        self.trace: list[str] | None = [] if tracing else None
        self._number = 0

    def note(self, text: str) -> None:
        if self.trace is not None:
            who = f"{self.current.name}: " if self.current else ""
            self.trace.append(f"{self.now:9.2f}  {who}{text}")

    # ── what tasks do ───────────────────────────────────────────────────────────────────────────────────────────────

    def spawn(self, name: str, work: Callable[[], Any], lasting: float = math.inf) -> Task:
        self._number += 1
        task = Task(self, f"{name}#{self._number}", work, lasting)
        self.tasks.append(task)
        return task

    def breathe(self) -> None:
        """A port call: time goes on a little, and others may run before it."""
        self.now += CALL
        self.sleep(0)

    def sleep(self, seconds: float) -> None:
        task = self._running()
        task.ready_at = self.now + seconds
        self._yield(task)

    def wait(self, others: Sequence[Task], at_most: float = math.inf) -> bool:
        """True when all of them are done or abandoned; False when it took too long."""
        task = self._running()
        until = self.now + at_most
        while not all(other.done or other.abandoned for other in others):
            if self.now >= until:
                return False
            task.ready_at = until
            for other in others:
                if task not in other.waiters:
                    other.waiters.append(task)
            self._yield(task)
        return True

    def wake(self, task: Task) -> None:
        for waiter in task.waiters:
            waiter.ready_at = min(waiter.ready_at, self.now)

    def abandon(self, task: Task) -> None:
        """Its caller gives up on it, and it goes on."""
        task.abandoned = True
        self.wake(task)

    def kill(self, task: Task) -> None:
        task.dead = True
        task.ready_at = min(task.ready_at, self.now)

    def _running(self) -> Task:
        assert self.current is not None
        return self.current

    def _yield(self, task: Task) -> None:
        self.hub.switch()
        if self.now >= task.deadline:
            task.dead = True
        if task.dead:
            raise Crash

    # ── whose turn it is ────────────────────────────────────────────────────────────────────────────────────────────

    def ready(self) -> list[Task]:
        """The one that ran last stands first."""
        found = [task for task in self.tasks if task.ready_at <= self.now]
        if self.current in found:
            found.remove(self.current)
            found.insert(0, self.current)
        return found

    def turn(self) -> bool:
        """Lets one go on until its next call; False when all of them wait or there are none."""
        found = self.ready()
        if not found:
            return False
        place = self.choices.draw(len(found), harmless=0.5) if self.switching else 0
        self.run(found[place])
        return True

    def run(self, task: Task) -> None:
        self.current = task
        task.green.switch()
        if task.done:
            self.tasks.remove(task)
            self.current = None

    def skip(self) -> bool:
        """To the time when the next one is ready; False when none will ever be."""
        next_at = min((task.ready_at for task in self.tasks), default=math.inf)
        if next_at is math.inf or next_at == math.inf:
            return False
        self.now = max(self.now, next_at)
        return True


class VirtualClock:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self._scheduler.now)
