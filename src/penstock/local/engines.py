"""The engines of a stack, apart from PostgreSQL: how each is started, and how it says that it is ready."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import penstock
from penstock.local.children import dying_with_parent

REGION = "us-east-1"
ACCOUNT = "000000000000"

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "COVERAGE_PROCESS_START")
"""All that an engine gets of the caller's environment: no AWS profile and no proxy may lead a function to the cloud."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a stack's engines are to behave. `wait_scale` shrinks Wait states and retries; 1 is real time.

    `search` is embedded, or the kind of a real node (`search_node.KINDS`).
    """

    auth: bool = True
    mock_config: str = ""
    wait_scale: float = 1.0
    search: str = "embedded"
    warehouse: str = "postgres"


@dataclass(frozen=True, slots=True)
class Engine:
    name: str
    arguments: list[str]
    port: int
    health: str
    """A path that answers 200 when it is ready."""
    environment: Mapping[str, str] = field(default_factory=dict)
    program: str = sys.executable
    answer: bytes = b""
    """What its answer has to hold, where somebody else's engine could answer at that port."""
    again: Callable[[], Engine] | None = None
    """Makes another one to start in its place, where it may end before it ever answered through nobody's fault."""

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """As a child in a process group of its own, its output in `<folder>/<name>.log`."""
        with (folder / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own program and our own arguments
                [self.program, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=_kept_environment() | dict(self.environment),
                start_new_session=True,
                preexec_fn=dying_with_parent(),
            )

    def ready(self) -> bool:
        if not self.port:
            return True
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", self.health)
            response = connection.getresponse()
            return response.status == 200 and self.answer in response.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _kept_environment() -> dict[str, str]:
    # The same Penstock as its caller's, which need not be the installed one.
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONPATH": library_paths()[0]}


def ministack(folder: Path, port: int, pipelines: int, redshift: int, settings: Settings) -> Engine:
    """The AWS APIs. `pipelines` and `redshift` are the ports that Data Pipeline and Redshift's Data API are served on;
    functions inherit this environment.
    """
    environment = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",  # Or it listens on every address for MQTT.
        "LOG_LEVEL": "INFO",
        "AUTH": "true" if settings.auth else "false",
        "TMPDIR": str(folder / "tmp"),
        "STATE_DIR": str(folder / "tmp" / "state"),
        "S3_DATA_DIR": str(folder / "tmp" / "s3"),
        "LAMBDA_STATE_TRANSITION_SECONDS": "0",
        "PENSTOCK_NURSERY": str(folder),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ENDPOINT_URL_DATA_PIPELINE": f"http://127.0.0.1:{pipelines}",
        "AWS_ENDPOINT_URL_REDSHIFT_DATA": f"http://127.0.0.1:{redshift}",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SFN_WAIT_SCALE": str(settings.wait_scale),
    }
    if settings.mock_config:
        environment["SFN_MOCK_CONFIG"] = settings.mock_config
    return Engine("ministack", ["-m", "penstock.local.ministack_server"], port, "/_ministack/health", environment)


def nursery(folder: Path, paths: list[str]) -> Engine:
    """Forks the Lambda workers. It has no port; who asks it too early waits."""
    script = str(Path(__file__).with_name("nursery.py"))
    environment = {"AWS_DEFAULT_REGION": REGION, "AWS_CONFIG_FILE": os.devnull}
    return Engine("nursery", ["-I", "-S", script, str(folder), *paths], 0, "", environment)


def pipelines(folder: Path, port: int) -> Engine:
    """AWS Data Pipeline, by moto's server."""
    arguments = ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {"TMPDIR": str(folder / "tmp"), "AWS_CONFIG_FILE": os.devnull, "AWS_DEFAULT_REGION": REGION}
    return Engine("pipelines", arguments, port, "/moto-api/", environment)


def search(folder: Path, port: int) -> Engine:
    """The few calls of OpenSearch that Penstock makes, on SQLite."""
    arguments = ["-m", "penstock.local.search", "--port", str(port), "--data", str(folder / "search.sqlite")]
    return Engine("search", arguments, port, "/", {"TMPDIR": str(folder / "tmp")})


def redshift(port: int, ministack: int, superuser: str) -> Engine:
    """Redshift's Data API, on the stack's PostgreSQL, which is up when this starts. `superuser` connects there."""
    arguments = ["-m", "penstock.local.redshift", "--postgres", superuser, "--port", str(port)]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ministack}",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",  # MiniStack's root, as the role that COPY has in the bucket.
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    return Engine("redshift", arguments, port, "/", environment)


def archive(folder: Path) -> Engine:
    """What Firehose does, where the stack has `Archive=stream`. It reads in the stack's state where everything is."""
    environment = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return Engine("archive", ["-m", "penstock.local.archive", str(folder)], 0, "", environment)


def library_paths() -> list[str]:
    """Where Penstock and what it needs are installed: what a worker that runs without `site` has to be told."""
    paths = [str(Path(penstock.__file__).resolve().parents[1]), sysconfig.get_path("purelib")]
    return list(dict.fromkeys([*paths, sysconfig.get_path("platlib")]))


def has_search() -> bool:
    spec = find_spec("penstock.local.search")
    if spec is None:
        return False
    return spec.submodule_search_locations is None or find_spec("penstock.local.search.__main__") is not None
