"""What a plan takes and how it groups it, on any arrivals there can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from penstock.flows.planning import ALONE_FROM, Oldest, Room, Share, choose, group
from penstock.model.arrivals import Arrival
from penstock.model.limits import BatchLimits
from penstock.model.plans import Batch

NAMES = ("flights", "weather", "planes")
BEGIN = datetime(2026, 1, 15, tzinfo=UTC)


def arrival(name: str, number: int, size: int, age: int) -> Arrival:
    return Arrival("landing", f"incoming/{name}/{number}", f"v{number}", size, "e", BEGIN + timedelta(seconds=age))


@st.composite
def queues(draw: st.DrawFn) -> dict[str, list[Arrival]]:
    """Eligible arrivals per dataset, oldest first, as the listing hands them on."""
    facts = st.tuples(st.integers(0, 100), st.integers(0, 1000))
    found = {
        name: [arrival(name, number, *fact) for number, fact in enumerate(draw(st.lists(facts, max_size=40)))]
        for name in NAMES
    }
    return {name: sorted(some, key=lambda one: (one.modified, one.key)) for name, some in found.items()}


ROOMS = st.builds(Room, files=st.integers(-5, 60), bytes=st.integers(-50, 2000), empty=st.booleans())
LIMITS = st.fixed_dictionaries(
    {name: st.builds(BatchLimits, max_files=st.integers(1, 20), max_bytes=st.integers(1, 300)) for name in NAMES}
)


def ids(arrivals: list[Arrival]) -> list[str]:
    return [one.id for one in arrivals]


def in_batches(batches: tuple[Batch, ...]) -> list[str]:
    return [one.id for batch in batches for one in batch.arrivals]


# ── choosing ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(queues(), ROOMS)
def test_what_is_chosen_fits_in_the_room(eligible: dict[str, list[Arrival]], room: Room) -> None:
    chosen = [one for some in choose(eligible, room).values() for one in some]

    assert len(chosen) <= max(room.files, 0)
    fits = sum(one.size for one in chosen) <= max(room.bytes, 0)
    assert fits or (room.empty and len(chosen) == 1)


@given(queues(), ROOMS)
def test_each_dataset_gives_its_oldest_first_and_none_twice(eligible: dict[str, list[Arrival]], room: Room) -> None:
    chosen = choose(eligible, room)

    for name, some in chosen.items():
        assert ids(some) == ids(eligible[name][: len(some)])


@given(queues(), st.integers(1, 60))
def test_no_dataset_is_crowded_out(eligible: dict[str, list[Arrival]], files: int) -> None:
    chosen = choose(eligible, Room(files, 10**9, empty=True))

    taken = {name: len(chosen.get(name, [])) for name in NAMES}
    hungry = [taken[name] for name in NAMES if taken[name] < len(eligible[name])]
    assert sum(taken.values()) == min(files, sum(map(len, eligible.values())))
    assert not hungry or max(taken.values()) - min(hungry) <= 1


@given(queues(), ROOMS)
def test_when_nothing_is_leased_something_is_chosen(eligible: dict[str, list[Arrival]], room: Room) -> None:
    open_ = Room(max(room.files, 1), max(room.bytes, 0), empty=True)

    assert any(choose(eligible, open_).values()) == any(eligible.values())


@given(queues(), st.integers(50, 300))
def test_a_big_file_is_never_overtaken_for_ever(eligible: dict[str, list[Arrival]], limit: int) -> None:
    left = {name: list(some) for name, some in eligible.items()}

    for _ in range(sum(map(len, eligible.values()))):
        chosen = choose(left, Room(1000, limit, empty=True))
        oldest = min((some[0] for some in left.values() if some), key=lambda one: one.modified, default=None)
        if oldest is None:
            break
        firsts = [some[0].modified for some in chosen.values()]
        assert oldest.modified in firsts
        left = {name: some[len(chosen.get(name, [])) :] for name, some in left.items()}

    assert not any(left.values())


# ── grouping ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(queues(), LIMITS, st.integers(0, 4), st.integers(1, 300))
def test_every_arrival_is_in_one_batch_or_left_for_later(
    eligible: dict[str, list[Arrival]], limits: dict[str, BatchLimits], attempts: int, most: int
) -> None:
    tried = {one.id: attempts for some in eligible.values() for one in some[::3]}

    batches = group(eligible, limits, tried, most)

    grouped = in_batches(batches)
    everything = [one.id for some in eligible.values() for one in some]
    assert len(set(grouped)) == len(grouped)
    assert set(grouped) <= set(everything)
    assert len(batches) <= most
    if len(batches) < most:
        assert set(grouped) == set(everything)
    assert [batch.number for batch in batches] == list(range(len(batches)))
    assert all(batch.arrivals for batch in batches)


@given(queues(), LIMITS)
def test_batches_keep_their_datasets_limits(eligible: dict[str, list[Arrival]], limits: dict[str, BatchLimits]) -> None:
    for batch in group(eligible, limits, {}, 10**6):
        assert len(batch.arrivals) <= limits[batch.dataset].max_files
        assert batch.size <= limits[batch.dataset].max_bytes or len(batch.arrivals) == 1
        assert {one.key.split("/")[1] for one in batch.arrivals} == {batch.dataset}


@given(queues(), LIMITS)
def test_what_failed_twice_is_alone(eligible: dict[str, list[Arrival]], limits: dict[str, BatchLimits]) -> None:
    tried = {one.id: ALONE_FROM for some in eligible.values() for one in some[::2]}

    for batch in group(eligible, limits, tried, 10**6):
        assert len(batch.arrivals) == 1 or not any(one.id in tried for one in batch.arrivals)


@given(queues(), LIMITS, st.integers(1, 20))
def test_a_plan_that_is_full_has_batches_of_every_dataset(
    eligible: dict[str, list[Arrival]], limits: dict[str, BatchLimits], most: int
) -> None:
    batches = group(eligible, limits, {}, most)

    per_dataset = [sum(batch.dataset == name for batch in batches) for name in NAMES]
    whole = group(eligible, limits, {}, 10**6)
    needed = [sum(batch.dataset == name for batch in whole) for name in NAMES]
    hungry = [got for got, need in zip(per_dataset, needed, strict=True) if got < need]
    assert not hungry or max(per_dataset) - min(hungry) <= 1


def test_a_year_of_days_makes_even_batches() -> None:
    year = [arrival("flights", day, 90_000, day) for day in range(365)]

    batches = group({"flights": year}, {"flights": BatchLimits(max_files=50, max_bytes=64 * 2**20)}, {})

    assert [len(batch.arrivals) for batch in batches] == [46] * 7 + [43]


# ── the oldest, in constant memory ──────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.integers(0, 5), st.text(max_size=3)), max_size=60, unique=True), st.integers(0, 20))
def test_the_oldest_are_kept_in_whatever_order_they_come(facts: list[tuple[int, str]], most: int) -> None:
    arrivals = [
        Arrival("landing", f"incoming/{key}", "v", 1, "e", BEGIN + timedelta(seconds=age)) for age, key in facts
    ]
    heap = Oldest(most)

    for one in arrivals:
        heap.add(one)

    assert heap.in_order() == sorted(arrivals, key=lambda one: one.modified)[:most]


# ── sharing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def shared_rooms(draw: st.DrawFn) -> Room:
    """Room as a listing finds it: what is held is within the limits, and the rest is what is left."""
    files, size = draw(st.integers(20, 60)), draw(st.integers(500, 2000))
    held = {name: (draw(st.integers(0, files // 4)), draw(st.integers(0, size // 4))) for name in NAMES}
    shares = {
        name: Share(*held[name], draw(st.integers(0, files)), draw(st.integers(0, size)), files // 3, size // 3)
        for name in NAMES
    }
    left_files = files - sum(some for some, _ in held.values())
    left_bytes = size - sum(some for _, some in held.values())
    return Room(left_files, left_bytes, left_files == files, shares, files // 10, size // 10, size)


@given(queues(), shared_rooms())
def test_no_dataset_holds_more_than_its_pace_and_all_no_more_than_the_room(
    eligible: dict[str, list[Arrival]], room: Room
) -> None:
    chosen = choose(eligible, room)

    assert sum(len(some) for some in chosen.values()) <= room.files
    assert sum(one.size for some in chosen.values() for one in some) <= room.bytes
    for name, some in chosen.items():
        share = room.shares[name]
        assert share.held_files + len(some) <= share.most_files
        fits = share.held_bytes + sum(one.size for one in some) <= share.most_bytes
        assert fits or share.held_files + len(some) == 1


@given(queues(), shared_rooms())
def test_who_holds_its_fair_share_leaves_the_reserve(eligible: dict[str, list[Arrival]], room: Room) -> None:
    over = {name for name, share in room.shares.items() if share.is_over}

    chosen = choose({name: eligible[name] for name in over}, room)

    assert sum(len(some) for some in chosen.values()) <= max(0, room.files - room.reserve_files)


@given(queues(), shared_rooms())
def test_a_dataset_below_its_share_is_served_while_there_is_room(
    eligible: dict[str, list[Arrival]], room: Room
) -> None:
    small = min(NAMES, key=lambda name: room.shares[name].held_files)
    one = arrival(small, 0, 0, 0)
    share = room.shares[small]

    chosen = choose({**eligible, small: [one]}, room)

    if not share.is_over and share.takes(one) and room.files > 0:
        assert chosen[small] == [one]
