"""Whatever becomes of requests, and in whatever order they end: per key nothing overtakes and nothing is lost."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from penstock.producer.events import Event
from penstock.producer.lanes import MAX_PARCELS, MAX_REQUEST, Lanes, Parcel

KEYS = st.sampled_from("abcd")


@given(
    puts=st.lists(st.tuples(KEYS, st.integers(1, 400_000)), max_size=60),
    choices=st.lists(st.integers(0, 9), min_size=20, max_size=200),
    aggregate=st.sampled_from([0, 100, 500_000]),
)
def test_order_per_key_is_kept_and_everything_arrives(
    puts: list[tuple[str, int]], choices: list[int], aggregate: int
) -> None:
    lanes = Lanes(aggregate)
    waiting = [Event(key, str(n), b"x" * size) for n, (key, size) in enumerate(puts)]
    put: defaultdict[str, list[str]] = defaultdict(list)
    arrived: defaultdict[str, list[str]] = defaultdict(list)
    on_the_way: list[Parcel] = []
    now = 0.0

    def end(choice: int) -> None:
        parcel = on_the_way.pop(choice % len(on_the_way))
        if choice < 3:
            lanes.again(parcel, now + choice)
        else:
            arrived[parcel.key] += [event.id for event in parcel.events]
            lanes.sent(parcel)

    for choice in choices:
        now += 1
        if waiting and choice % 2:
            event = waiting.pop(0)
            put[event.key].append(event.id)
            lanes.add(event)
        elif on_the_way and choice % 3:
            end(choice)
        else:
            lanes.wake(now)
            taken = lanes.take(now)
            assert len(taken) <= MAX_PARCELS
            assert sum(parcel.size for parcel in taken) <= MAX_REQUEST or len(taken) == 1
            on_the_way += taken
            keys = [parcel.key for parcel in on_the_way]
            assert len(keys) == len(set(keys)), "two of one key are on their way"
    while len(lanes):
        now += 100
        lanes.wake(now)
        on_the_way += lanes.take(now)
        end(9)

    assert arrived == put
