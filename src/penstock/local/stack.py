"""A whole Penstock on this laptop: engines, template, warehouse, search. What the CLI, the demo and the tests hold.

with LocalStack.temporary() as stack:
    stack.client("s3").put_object(Bucket=stack.bucket, Key="incoming/flights/a.csv", Body=…)
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from penstock.local import deploy, search_node
from penstock.local.children import await_end
from penstock.local.clients import client, session
from penstock.local.state import StackState, change, find_home
from penstock.local.supervised import LOG, Supervised
from penstock.local.template import LocalTemplate
from penstock.model.errors import PermanentError

Progress = Callable[[str], None]

_END_SECONDS = 10

REDSHIFT_DATABASE = "redshift"
"""In PostgreSQL; the stand-in makes it."""

_ROOT = Path(__file__).resolve().parents[3]
"""The clone, where Penstock was installed from one with `pip install -e`."""


@dataclass(frozen=True)
class EngineStatus:
    """`log` is for a person to open."""

    name: str
    alive: bool
    port: int
    pid: int
    log: Path


class LocalStack:
    """A stack that is up, or was. `folder` holds its state, its logs and, while it runs, its data."""

    def __init__(self, folder: Path, state: StackState) -> None:
        self.folder = folder
        self.name = state.name
        self._state = state
        self._supervised: Supervised | None = None

    # ── coming up ───────────────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def up(
        cls,
        name: str = "penstock",
        home: Path | None = None,
        *,
        template: Path | None = None,
        datasets: Path | None = None,
        parameters: Mapping[str, str] | None = None,
        lifeline: bool = False,
        temporary: bool = False,
        auth: bool = True,
        mock_config: Path | None = None,
        wait_scale: float = 1.0,
        search: str = search_node.EMBEDDED,
        warehouse: Literal["postgres", "redshift"] = "postgres",
        on_progress: Progress | None = None,
    ) -> LocalStack:
        """Starts the engines and deploys the template to them.

        With a `lifeline` the stack ends with this process, however that ends; without one it stays until `down`. A
        `temporary` stack's folder is removed with it. With `auth` each function and each state machine has what its own
        role allows, no more. `wait_scale` below 1 shrinks the state machines' waits. `search` names a real node to
        start in place of the embedded index; it is fetched where it is not there. `warehouse: redshift` is the stand-in
        for its Data API, on the same PostgreSQL. Raises PermanentError when a stack of that name is up, an engine does
        not start or the template does not deploy; nothing is left running then.
        """
        say = on_progress or (lambda _: None)
        template = (template or _ROOT / "template.yaml").resolve()
        datasets = (datasets or template.parent / "datasets").resolve()
        folder = (home or find_home()).absolute() / name
        if search != search_node.EMBEDDED:
            say(f"looking for {search}, and fetching it the first time")
            search_node.fetch(search)
        _make_folder(
            folder, StackState(name, temporary=temporary, auth=auth, template=str(template), datasets=str(datasets))
        )
        arguments = ["--wait-scale", str(wait_scale), "--search", search, "--warehouse", warehouse]
        if not auth:
            arguments.append("--no-auth")
        if temporary:
            arguments.append("--temporary")
        if mock_config:
            arguments += ["--mock-config", str(mock_config.resolve())]

        say("starting the engines")
        supervised = Supervised.start(folder, arguments, lifeline=lifeline)
        stack = cls(folder, StackState(name, supervisor=supervised.process))
        stack._supervised = supervised
        try:
            with ThreadPoolExecutor(1) as reader:  # SAM's transform while the engines start.
                local = reader.submit(deploy.read_template, template, datasets, parameters or {})
                stack._state = supervised.await_engines()
                say("deploying template.yaml")
                stack._deploy(local.result(), template, warehouse, parameters or {})
        except BaseException:
            stack._end()
            if temporary:
                shutil.rmtree(folder, ignore_errors=True)  # Else its logs stay, for a person to read.
            raise
        return stack

    @classmethod
    def find(cls, name: str = "penstock", home: Path | None = None) -> LocalStack:
        """A stack that was brought up here or in a folder above. Raises PermanentError where there is none."""
        folder = (home or find_home()).absolute() / name
        try:
            return cls(folder, StackState.read(folder))
        except FileNotFoundError:
            raise PermanentError(f"there is no stack {name} in {folder.parent}. Bring it up: penstock up") from None

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, name: str = "penstock", **options: Any) -> Iterator[LocalStack]:
        """One that lives as long as the block, in a folder that goes with it; `options` as for `up`."""
        home = Path(tempfile.mkdtemp(prefix="penstock-"))
        try:
            stack = cls.up(name, home, lifeline=True, temporary=True, **options)
            try:
                yield stack
            finally:
                stack.down()
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def redeploy(self, parameters: Mapping[str, str] | None = None) -> None:
        """Deploys the template and the code as they are now to the engines that run."""
        template, datasets = Path(self._state.template), Path(self._state.datasets)
        wanted = {**self._state.parameters, **(parameters or {})}
        local = deploy.read_template(template, datasets, wanted)
        outputs = deploy.deploy(self.client, self.name, local, deploy.parameters_for(local, wanted))
        self._state = change(self.folder, parameters=wanted, outputs=outputs)
        self._archive()

    # ── going down ──────────────────────────────────────────────────────────────────────────────────────────────────

    def down(self) -> bool:
        """Ends every process of the stack and removes its folder; False when there was nothing left to end."""
        was_up = self._end()
        shutil.rmtree(self.folder, ignore_errors=True)
        return was_up

    def _end(self) -> bool:
        """Ids of processes are used again, so none is signalled that was not started when the state says."""
        with contextlib.suppress(FileNotFoundError):
            self._state = StackState.read(self.folder)
        processes = [engine.process for engine in self._state.engines.values()]
        supervisor = self._state.supervisor
        was_up = any(process.alive() for process in [*processes, *([supervisor] if supervisor else [])])
        if supervisor is not None:
            supervisor.signal(signal.SIGTERM)
            if await_end([supervisor], _END_SECONDS):
                supervisor.signal(signal.SIGKILL)
        if self._supervised is not None:
            self._supervised.let_go(_END_SECONDS)
        for process in await_end(processes, 2):
            process.end_group()
        await_end(processes, 2)
        return was_up

    # ── using it ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def endpoint(self) -> str:
        """Of every AWS service but Data Pipeline and Redshift's Data API."""
        return f"http://127.0.0.1:{self._port('ministack')}"

    @property
    def search_url(self) -> str:
        """Empty where the stack has no search."""
        return f"http://127.0.0.1:{self._port('search')}" if "search" in self._state.engines else ""

    @property
    def parameters(self) -> Mapping[str, str]:
        return self._state.parameters

    @property
    def outputs(self) -> Mapping[str, str]:
        """The template's, as LandingBucket, LeaseTable, IngestStateMachineArn, RunTopicArn, ArrivalsQueueUrl."""
        return self._state.outputs

    @property
    def bucket(self) -> str:
        return self.outputs["LandingBucket"]

    @property
    def datasets(self) -> Path:
        return Path(self._state.datasets)

    def client(self, service: str) -> Any:
        """A boto3 client with every permission; one of each service is made."""
        return self._clients(service)

    def warehouse_dsn(self, role: Literal["owner", "loader"]) -> str:
        """A connection string for psycopg; to what stands in for Redshift's database, where that is the warehouse."""
        database = REDSHIFT_DATABASE if "redshift" in self._state.engines else "warehouse"
        return f"host=127.0.0.1 port={self._port('postgres')} user=penstock_{role} dbname={database}"

    def status(self) -> list[EngineStatus]:
        """Every engine, the supervisor first."""
        supervisor = self._state.supervisor
        found = [
            EngineStatus(name, engine.process.alive(), engine.port, engine.process.pid, self.folder / engine.log)
            for name, engine in sorted(self._state.engines.items())
        ]
        if supervisor is not None:
            log = self.folder / LOG
            found.insert(0, EngineStatus("supervisor", supervisor.alive(), 0, supervisor.pid, log))
        return found

    # ── how ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _clients(self) -> Callable[[str], Any]:
        made = session()

        @cache
        def make(service: str) -> Any:
            own = {"datapipeline": "pipelines", "redshift-data": "redshift"}.get(service)
            return client(made, service, f"http://127.0.0.1:{self._port(own)}" if own else self.endpoint)

        return make

    def _port(self, engine: str) -> int:
        try:
            return self._state.engines[engine].port
        except KeyError:
            raise PermanentError(f"stack {self.name} has no {engine}: {self._state.reason or 'it is not up'}") from None

    def _deploy(self, local: LocalTemplate, template: Path, warehouse: str, given: Mapping[str, str]) -> None:
        wanted = {
            **deploy.laptop_parameters(warehouse),
            "SearchUrl": self.search_url,
            **deploy.make_secrets(self.client("secretsmanager"), self.name, self._port("postgres")),
        }
        pipeline = template.parent / "pipeline" / "template.yaml"
        if pipeline.exists() and "DataPipelineId" in local.body.get("Parameters", {}):
            wanted |= deploy.make_pipeline(self.client("datapipeline"), self.name, pipeline)
        stated = {  # The terminal asks how long ids are remembered.
            name: str(one["Default"])
            for name, one in local.body.get("Parameters", {}).items()
            if name.startswith("Stream") and "Default" in one
        }
        parameters = {**stated, **deploy.parameters_for(local, wanted), **given}
        outputs = deploy.deploy(self.client, self.name, local, parameters)
        self._state = change(self.folder, parameters=parameters, outputs=outputs)
        self._archive()

    def _archive(self) -> None:
        if self.parameters.get("Archive") == "stream" and self._state.supervisor:
            self._state.supervisor.signal(signal.SIGUSR1)


def _make_folder(folder: Path, state: StackState) -> None:
    """An empty folder with `state` in it. Raises PermanentError where a stack of that name is up."""
    with contextlib.suppress(FileNotFoundError):
        if StackState.read(folder).alive:
            raise PermanentError(f"stack {state.name} is up already. End it first: penstock down")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state.write(folder)
