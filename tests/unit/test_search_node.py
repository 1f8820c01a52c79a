"""A real search node says why it can't be started, and is not mistaken for another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.search_server import embedded_search

from penstock.cli.options import Search
from penstock.local.engines import Engine
from penstock.local.search_node import EMBEDDED, KINDS, fetch, missing, node
from penstock.model.errors import PermanentError


@pytest.fixture(autouse=True)
def nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_node_that_was_not_fetched_says_how_to_fetch_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    java = tmp_path / "bin" / "java"
    java.touch(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    assert missing("opensearch") == "opensearch is not fetched: make opensearch"
    with pytest.raises(PermanentError, match="make opensearch"):
        node("opensearch", tmp_path)


def test_without_java_or_maven_both_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    assert "no java" in missing("opensearch")
    with pytest.raises(PermanentError, match=r"java .* and mvn"):
        fetch("elasticsearch")


def test_an_engine_that_others_answer_for_is_not_ready() -> None:
    with embedded_search() as (url, _):
        port = int(url.rpartition(":")[2])

        assert Engine("search", [], port, "/", answer=b"cluster_name").ready()
        assert not Engine("search", [], port, "/", answer=b"penstock-of-somebody-else").ready()


def test_the_command_line_offers_every_kind() -> None:
    assert {one.value for one in Search} == {EMBEDDED, *KINDS}
