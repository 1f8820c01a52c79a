"""What a dataset's `kick_off` names, by the adapter that starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.wiring.environment import client, settings
from penstock.wiring.files import clock

if TYPE_CHECKING:
    from penstock.ports import Pipeline


def pipeline(dataset: Dataset, function_arn: str) -> Pipeline:
    """What the dataset asks to be kicked off. Raises PermanentError where the stack does not have it.

    `function_arn` is the function's own, whose partition, region and account a nested state machine shares.
    """
    from penstock.adapters.pipelines import DataPipeline, StateMachinePipeline

    wanted = dataset.kick_off
    if wanted is None:
        raise PermanentError(
            f"dataset {dataset.name} asks for no kickoff: its kick_off was removed while a run went on"
        )
    if wanted.rebuild_views and settings().rebuild_views_arn:
        return StateMachinePipeline(client("stepfunctions"), settings().rebuild_views_arn)
    if wanted.state_machine:
        _, partition, _, region, account, *_ = function_arn.split(":")
        machine = f"arn:{partition}:states:{region}:{account}:stateMachine:{wanted.state_machine}"
        return StateMachinePipeline(client("stepfunctions"), machine)
    if not settings().data_pipeline_id:
        raise PermanentError(
            f"dataset {dataset.name} kicks off AWS Data Pipeline, and the stack has none. Deploy with DataPipelineId, "
            "or name a state_machine or rebuild_views in the dataset's kick_off."
        )
    return DataPipeline(client("datapipeline"), settings().data_pipeline_id, clock())
