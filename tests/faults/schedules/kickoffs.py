"""At rest, what was loaded of a dataset that asks for it has been followed by a kickoff of a run that worked it."""

from __future__ import annotations

from tests.faults.schedules.producers import DATASETS
from tests.faults.schedules.world import ViolationError, World

from penstock.model.outcomes import Verdict
from penstock.model.plans import Plan


def check_kickoffs(world: World) -> None:
    """Raises ViolationError. Of duplicates and what was refused nothing follows."""
    started = {(run, dataset) for run, dataset, _ in world.pipeline.started}
    plans = [
        Plan.from_json(world.store.get_json(key)) for key in world.store.keys("plans/") if key.endswith("/plan.json")
    ]
    for name, dataset in DATASETS.items():
        arrivals = [arrival for arrival, _ in world.puts if arrival.key.startswith(f"incoming/{name}/")]
        if not dataset.kick_off or not arrivals:
            continue
        for id_, outcome in world.bench.raw().outcomes(dataset, arrivals).items():
            by = {plan.id for plan in plans if any(one.id == id_ for one in plan.arrivals)}
            settled = any(id_ in key for key in world.store.keys(f"processed/{name}/"))
            if (
                settled
                and outcome.verdict is Verdict.LOADED
                and outcome.rows
                and not any((p, name) in started for p in by)
            ):
                raise ViolationError(f"{id_[:6]} was loaded into {name}, and none of {sorted(by)} has kicked it off")
