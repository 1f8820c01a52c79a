"""Starts what a dataset wants started after a run: at least once, and rarely twice.

It dies between start and finish: the next try starts it again, unless what is started knows the run's id (a state
machine does, by the execution's name; AWS Data Pipeline does not). The other order could lose a kickoff instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.model.arrivals import PROCESSED
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.ports import Leases, Pipeline


def kick_off(
    leases: Leases,
    pipeline_of: Callable[[Dataset], Pipeline],
    datasets: Mapping[str, Dataset],
    plan: str,
    name: str,
) -> dict[str, str]:
    """`{"reference": …}`: what an operator looks up; empty when it was started before."""
    dataset = datasets.get(name)
    if dataset is None or dataset.kick_off is None:
        raise PermanentError(f"Dataset {name} of run {plan} asks for no kickoff any more: nothing was started.")
    if not leases.claim_kick_off(plan, name):
        return {"reference": ""}
    # Where its files lie now: what a precondition asks about.
    parameters = {"processed": f"{PROCESSED}{dataset.prefix}", **dataset.kick_off.parameters}
    reference = pipeline_of(dataset).start(plan, name, parameters)
    leases.finish_kick_off(plan, name, reference)
    return {"reference": reference}
