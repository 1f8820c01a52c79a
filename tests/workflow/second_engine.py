"""moto's interpreter of the States Language, for a reading that owes nothing to the embedded engine's.

`python -m tests.workflow.second_engine` takes JSON and answers it: {"machines": {name: definition}, "objects": {key:
text}, "runs": [{"machine", "case", "given"}]} by {"refused": {name: why}, "runs": [{"name", "status", "error", "cause",
"output", "histories"}]}, without the runs of a refused machine. A machine's name may end in a comma and what tells it
apart. Nothing of the language is touched; four things around it are set up for a test:

- A task's answer is its test case's in MockConfigFile.json, one for each attempt, as Step Functions Local takes them.
- Waits, between retries too, take no time; what a Wait was asked for is in its input.
- An execution ends before StartExecution has answered.
- What the child executions of a Distributed Map did is kept: moto throws it away.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import boto3
from moto import mock_aws
from moto.stepfunctions.parser.api import HistoryEvent, InvalidDefinition
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import mock_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.states import ExecutionData
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.mocking.mock_config import MockedResponse, MockedResponseReturn, MockedResponseThrow
from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from tests.workflow.engines import MOCKS

CONFIG = json.loads(MOCKS.read_text())

_attempts: Counter[tuple[str, str]] = Counter()
_children: dict[str, list[list[HistoryEvent]]] = defaultdict(list)
_map_run = DistributedIterationComponent._map_run


def _execution(env: Environment) -> ExecutionData:
    return env.states.context_object.context_object_data["Execution"]


def _answer(env: Environment) -> MockedResponse:
    execution, state = _execution(env), str(env.next_state_name)
    machine, case, _ = execution["Name"].split(".")
    attempt = _attempts[execution["Id"], state]
    _attempts[execution["Id"], state] += 1
    named = CONFIG["StateMachines"][machine.split(",")[0]]["TestCases"][case].get(state)
    answers = CONFIG["MockedResponses"].get(named, {})
    for span, answer in answers.items():
        first, last = map(int, (span.split("-") * 2)[:2])
        if first <= attempt <= last and "Return" in answer:
            return MockedResponseReturn(attempt, attempt, answer["Return"])
        if first <= attempt <= last:
            return MockedResponseThrow(attempt, attempt, answer["Throw"]["Error"], answer["Throw"]["Cause"])
    return MockedResponseThrow(0, 0, "States.Runtime", f"no mocked response for attempt {attempt} of {state!r}")


def _keeping_the_children(self: DistributedIterationComponent, env: Environment, eval_input: Any) -> None:
    try:
        _map_run(self, env, eval_input)
    finally:
        _children[_execution(env)["Id"]].append(env.event_manager.get_event_history())


def _set_up() -> None:
    logging.disable(logging.ERROR)  # It logs each error that a machine catches as its own, with its whole program.
    parse = functools.cache(AmazonStateLanguageParser.parse)  # Once, and not at each execution.
    replaced: list[tuple[Any, str, Any]] = [
        (AmazonStateLanguageParser, "parse", staticmethod(parse)),
        (ExecutionWorker, "start", ExecutionWorker._execution_logic),
        (Environment, "is_mocked_mode", lambda _: True),
        (Environment, "get_current_mocked_response", _answer),
        # It checks that an error's name isn't one of States' own. A test may say what AWS reports.
        (mock_eval_utils, "CustomErrorName", ErrorName),
        (retrier_decl, "time", SimpleNamespace(sleep=lambda _: None)),
        (WaitFunction, "_wait_interval", lambda *_args, **_: None),
        (DistributedIterationComponent, "_map_run", _keeping_the_children),
    ]
    for owner, name, value in replaced:
        setattr(owner, name, value)


def _run(backend: Any, arn: str, number: int, run: dict[str, Any]) -> dict[str, Any]:
    name = f"{run['machine']}.{run['case']}.{number}"
    done = backend.start_execution(arn, name, json.dumps(run["given"]))
    output = done.output if done.status == "SUCCEEDED" else None
    histories = [done.to_history_output()["events"], *_children[done.exec_arn]]
    told = {"error": done.error or "", "cause": done.cause or "", "output": output, "histories": histories}
    return {"name": name, "status": done.status, **told}


def main() -> None:
    _set_up()
    asked = json.load(sys.stdin)
    arns, refused = {}, {}
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="landing")
        for key, text in asked["objects"].items():
            s3.put_object(Bucket="landing", Key=key, Body=text)
        backend = stepfunctions_parser_backends["123456789012"]["us-east-1"]
        for number, (name, one) in enumerate(asked["machines"].items()):
            role = "arn:aws:iam::123456789012:role/any"
            try:
                arns[name] = backend.create_state_machine(f"machine-{number}", json.dumps(one), role).arn
            except InvalidDefinition as error:
                refused[name] = str(error.message)
        runs = [run for run in asked["runs"] if run["machine"] in arns]
        told = [_run(backend, arns[run["machine"]], number, run) for number, run in enumerate(runs)]
    sys.stdout.write(json.dumps({"refused": refused, "runs": told}, default=str))


if __name__ == "__main__":
    main()
