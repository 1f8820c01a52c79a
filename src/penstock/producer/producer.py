"""The producer: a bounded buffer, threads that send, and what becomes of that which can't be sent."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from penstock.producer.events import BufferFullError, ClosedError, Event, Undelivered, encode, held_bytes
from penstock.producer.lanes import MAX_PARCELS, Lanes, Parcel
from penstock.producer.overflow import Overflow
from penstock.producer.sending import SENT, Verdict, make_client, send
from penstock.producer.spill import Spill

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0
"""Seconds: of capped exponential backoff with full jitter."""
_PICK_UP = 5.0
"""Seconds after which what was spilled is tried again, when nothing else has shown that the stream takes events."""

_HURRIED = 0.01
"""Seconds that a request waits for company while somebody waits for the producer to be done."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """Events, but for `requests`. Put = sent + waiting + spilled now + handed back."""

    put: int = 0
    sent: int = 0
    retried: int = 0
    """How often an event was sent again."""
    throttled: int = 0
    """How often of these because the stream had no room."""
    spilled: int = 0
    """Written to disk, ever; those that were picked up again are among the sent."""
    handed_back: int = 0
    requests: int = 0

    def to_json(self) -> dict[str, int]:
        return asdict(self)


class Producer:
    """Puts events into `stream`, by its name or ARN. Safe for threads; not for forks.

    `buffer` is the most bytes that wait in memory. When it is full, `put` waits for room (`when_full="block"`) or
    raises BufferFullError (`"refuse"`). An event that can't be sent within `patience` seconds, those not counted in
    which the stream was full and took others, goes to `spill`, a folder of its own, and is picked up again, also by the
    next process; without a folder it is handed back by `undelivered` and `close`. `aggregate` is the most bytes of one
    key's events that share a record; 0 gives each its own.
    """

    def __init__(
        self,
        stream: str,
        *,
        client: KinesisClient | None = None,
        buffer: int = 64 * 2**20,
        when_full: Literal["block", "refuse"] = "block",
        spill: Path | None = None,
        patience: float = 60.0,
        aggregate: int = 0,
        linger: float = 0.05,
        requests: int = 4,
    ) -> None:
        self._stream = stream
        self._client = client or make_client(requests)
        self._room = buffer
        self._blocks = when_full == "block"
        self._patience = patience
        self._linger = linger
        self._changed = threading.Condition()
        self._lanes = Lanes(aggregate)
        self._overflow = Overflow(stream, Spill(spill), buffer) if spill else None
        self._undelivered: list[Undelivered] = []
        self._counters = Counters()
        self._held = 0
        self._on_the_way = 0
        self._hurry = 0
        self._closed = False
        self._next_pick_up = 0.0
        self._took_last = 0.0
        """When the stream took something last."""
        self._threads = [
            threading.Thread(target=self._send_on, name=f"penstock-producer-{n}", daemon=True) for n in range(requests)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, event: Mapping[str, Any], key: str | None = None, timeout: float | None = None) -> str:
        """Takes the event over; its id. From here on it is sent, on disk, or handed back.

        Raises EventError for what can't be an event, ClosedError after `close`, and BufferFullError when there is no
        room: at once where the producer refuses, after `timeout` seconds where it blocks, and at once where nothing is
        left to wait for, since all that fills the buffer waits for its owner, in `undelivered`.
        """
        made = encode(event, key)
        size = held_bytes(made)
        with self._changed:
            if not self._has_room(size):
                self._wait_for_room(size, timeout if self._blocks else 0)
            if self._closed:
                raise ClosedError(f"the producer of stream {self._stream} is closed")
            if not self._has_room(size):
                raise BufferFullError(self._why_full())
            self._held += size
            self._counters.put += 1
            if self._overflow is not None and self._overflow.holds(made.key):
                self._is_on_disk(self._overflow.park(made))
            else:
                self._lanes.add(made)
                if self._lanes.ready in (1, MAX_PARCELS):  # Else whoever could send it is awake, or lingers.
                    self._changed.notify_all()
        return made.id

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until everything that was put is in the stream, or handed back; False when `timeout` came before."""
        with self._changed:
            return self._hurried(self._is_empty, timeout)

    def undelivered(self) -> list[Undelivered]:
        """What could not be sent and is its owner's again, with the reason; each is handed back once."""
        with self._changed:
            handed, self._undelivered = self._undelivered, []
            self._held -= sum(held_bytes(one.event) for one in handed)
            self._counters.handed_back += len(handed)
            self._changed.notify_all()
            return handed

    def close(self, timeout: float | None = 30.0) -> list[Undelivered]:
        """Sends what it can within `timeout` seconds. The rest goes to the spill; without one it is handed back.

        None waits for as long as the stream takes something: each event is sent, or its patience is over.
        """
        self._end(timeout)
        return self.undelivered()

    def _end(self, timeout: float | None) -> None:
        with self._changed:
            self._hurried(lambda: self._closed or self._is_empty() or self._is_stuck(), timeout)
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()  # A request on its way ends by its own timeouts.
        with self._changed:
            why, left = "the producer was closed before the stream took it", list(self._lanes.everything())
            self._lanes = Lanes()
            if self._overflow is not None:
                self._is_on_disk(self._overflow.write_parked())
                left = [] if self._goes_to_disk(left, why) else left
                left += self._overflow.close()
            self._undelivered += [Undelivered(event, why) for event in left]

    @property
    def counters(self) -> Counters:
        with self._changed:
            return replace(self._counters)

    @property
    def has_undelivered(self) -> bool:
        with self._changed:
            return bool(self._undelivered)

    @property
    def waiting(self) -> int:
        """Events on disk that are still to be sent."""
        with self._changed:
            return self._overflow.on_disk if self._overflow is not None else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes, and waits for all that the stream takes, but not for more than half a minute behind an error.

        Raises nothing of its own: what could not be sent is logged by number, and `undelivered` has it.
        """
        self._end(None if kind is None else 30.0)
        if lost := self._undelivered:
            logger.error("%d events for stream %s were not sent: %s", len(lost), self._stream, lost[0].reason)

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _send_on(self) -> None:
        while (parcels := self._next()) is not None:
            try:
                verdicts = send(self._client, self._stream, parcels)
            except Exception as error:  # A thread that ends would leave its events in the air.
                logger.exception("a request to stream %s failed in the client", self._stream)
                verdicts = [Verdict(type(error).__name__)] * len(parcels)
            with self._changed:
                self._account_for(parcels, verdicts)
                self._on_the_way -= 1
                self._changed.notify_all()

    def _next(self) -> list[Parcel] | None:
        """What one request carries, as soon as there is some; None when the producer is closed."""
        with self._changed:
            lingered = False
            while True:
                if self._closed:
                    return None
                now = time.monotonic()
                self._lanes.wake(now)
                self._pick_up(now)
                if self._lanes.ready and (lingered or self._lanes.ready >= MAX_PARCELS):
                    self._on_the_way += 1
                    self._counters.requests += 1
                    return self._lanes.take(now)
                if self._lanes.ready:  # A moment more fills the request: what is billed and limited is requests.
                    linger = min(self._linger, _HURRIED) if self._hurry else self._linger
                    self._changed.wait_for(lambda: self._closed or self._lanes.ready >= MAX_PARCELS, linger)
                    lingered = True
                    continue
                lingered = False
                due = self._lanes.next_due(now)
                spilled = max(_HURRIED, self._next_pick_up - now) if self._overflow else None
                self._changed.wait(min((one for one in (due, spilled) if one is not None), default=None))

    def _account_for(self, parcels: Sequence[Parcel], verdicts: Sequence[Verdict]) -> None:
        now = time.monotonic()
        if SENT in verdicts:
            self._took_last = now
        given_up: list[tuple[Parcel, str]] = []
        for parcel, verdict in zip(parcels, verdicts, strict=True):
            if verdict is SENT:
                self._lanes.sent(parcel)
                self._let_go(parcel.events)
                if self._overflow is not None:
                    self._overflow.gone(parcel.events)
                self._counters.sent += len(parcel.events)
                self._next_pick_up = 0.0  # The stream takes events: those on disk may come.
            elif verdict.never or now - self._refused_since(parcel, verdict) >= self._patience:
                given_up.append((parcel, f"stream {self._stream} did not take it: {verdict.code}"))
            else:
                self._counters.retried += len(parcel.events)
                self._counters.throttled += len(parcel.events) if verdict.throttled else 0
                ceiling = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self._lanes.attempts(parcel), 16))
                self._lanes.again(parcel, now + random.uniform(0, ceiling))  # noqa: S311 - jitter, no secret
        if given_up:
            self._give_up(given_up, now)

    def _refused_since(self, parcel: Parcel, verdict: Verdict) -> float:
        """A full stream that takes others will take this one as well."""
        tried = self._lanes.tried_since(parcel)
        return max(tried, self._took_last) if verdict.throttled else tried

    # ── what is not sent ────────────────────────────────────────────────────────────────────────────────────────────

    def _give_up(self, parcels: Sequence[tuple[Parcel, str]], now: float) -> None:
        """To disk, those of a request at once; what that does not take is tried again, in its room of the buffer.

        Without a spill it waits there to be handed back.
        """
        lanes = [(self._lanes.behind(parcel), why) for parcel, why in parcels]
        if self._overflow is None:
            self._undelivered += [Undelivered(event, why) for events, why in lanes for event in events]
        elif not self._goes_to_disk([event for events, _ in lanes for event in events], lanes[0][1]):
            for parcel, _ in parcels:
                self._lanes.again(parcel, now + _LONGEST_WAIT)
            return
        for parcel, _ in parcels:
            self._lanes.drop(parcel)

    def _goes_to_disk(self, events: Sequence[Event], reason: str) -> bool:
        if events and self._overflow is not None:
            if not self._overflow.write(events, reason):
                return False
            self._is_on_disk(events)
            self._next_pick_up = time.monotonic() + _PICK_UP
        return True

    def _is_on_disk(self, events: Sequence[Event]) -> None:
        if events:
            self._counters.spilled += len(events)
            self._let_go(events)
            self._changed.notify_all()

    def _pick_up(self, now: float) -> None:
        """One segment, until the stream has taken something; what is parked has to be behind it."""
        if not self._overflow or now < self._next_pick_up:
            return
        if self._held - self._overflow.parked_size > self._room // 2:
            return
        self._next_pick_up = now + _PICK_UP
        self._is_on_disk(self._overflow.write_parked())
        taken, parked = self._overflow.take()
        self._held += sum(map(held_bytes, taken))
        for event in (*taken, *parked):
            self._lanes.add(event)

    def _let_go(self, events: Sequence[Event]) -> None:
        self._held -= sum(held_bytes(event) for event in events)

    def _wait_for_room(self, size: int, timeout: float | None) -> None:
        self._hurried(lambda: self._closed or self._has_room(size) or self._is_the_owners(), timeout)

    def _is_the_owners(self) -> bool:
        """All that fills the buffer is to be handed back: nothing else makes room."""
        return bool(self._undelivered) and not (len(self._lanes) or self._on_the_way)

    def _why_full(self) -> str:
        full = f"{self._held:,} bytes wait for stream {self._stream}, and the buffer holds {self._room:,}: "
        if self._is_the_owners():
            first = self._undelivered[0].reason
            return f"{full}{len(self._undelivered):,} events could not be sent, and wait for `undelivered`. {first}"
        return (
            f"{full}the stream takes less than is put. Give it shards, put less, or give the producer a longer buffer"
        )

    def _hurried(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Nobody comes along to fill requests while somebody waits here."""
        self._hurry += 1
        try:
            return self._changed.wait_for(condition, timeout)
        finally:
            self._hurry -= 1

    def _has_room(self, size: int) -> bool:
        return self._held + size <= self._room or not self._held

    def _is_stuck(self) -> bool:
        """The stream takes nothing, and all that is left is on disk, for the next process to try; or that is full."""
        now = time.monotonic()
        if self._overflow is not None and self._overflow.is_full and now - self._took_last >= self._patience:
            return True
        parked = self._overflow is not None and not self._overflow.is_written
        return not (len(self._lanes) or self._on_the_way or parked) and self._next_pick_up > now

    def _is_empty(self) -> bool:
        return not (len(self._lanes) or self._on_the_way or self._overflow)
