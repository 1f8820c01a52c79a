"""What the pages name is there: commands and their options, make's targets, modules, files, headings, decisions."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
import yaml
from tests.pages import REPOSITORY, Said, anchors, commands, links, names, tracked, yaml_blocks

from penstock.cli import app
from penstock.model.dataset_files import load_datasets
from penstock.model.rate_files import load_rates

PAGES = tracked("*.md")
DECISIONS = REPOSITORY / "docs" / "adr"
TARGETS = set(re.findall(r"^([a-z][\w-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
PROGRAM: Any = typer.main.get_command(app)
FILE = re.compile(
    r"(?<![\w/.…-])((?:archive|benchmarks|database|datasets/rates|datasets/views|docs|events|functions|network|pipeline|src"
    r"|statemachines|tests)/[\w./-]+\.(?:json|md|py|sql|ya?ml))"
    r"(?:::(\w+))?"
)
ELLIPSIS = "…"
OTHERS_NAMES = {
    *("AutoPublishAlias", "HeartbeatSeconds", "ListStreams"),  # AWS's, and not used: the pages say why.
    *("GetClusterCredentials", "PowerUserAccess", "signatureAge"),  # Of an account, beside the template.
    *("coerce_timestamps", "updated_at"),  # A writer's of Parquet, and of somebody's table.
}
"""What pages put in code and nothing here is called."""


def named(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def parse(said: Said) -> None:
    """Fails for a command or an option that is not there, or one word too many."""
    name, *words = said.words
    assert name in PROGRAM.commands, f"{said}: there is no command {name}"
    command = PROGRAM.commands[name]
    shown = [word for word in words if word != ELLIPSIS]
    try:
        _, rest, _ = command.make_parser(typer.Context(command, info_name=name)).parse_args(shown)
    except Exception as error:
        error.add_note(str(said))
        raise
    assert not rest, f"{said}: {' '.join(rest)} is too much"


def test_commands_of_pages_and_their_options_are_there() -> None:
    for said in (said for page in PAGES for said in commands(page, "penstock")):
        if said.words[0] not in (ELLIPSIS, "--help"):
            parse(said)


def test_options_that_alarms_and_messages_tell_an_operator_to_give_are_there() -> None:
    for file in tracked("src/*.py", "functions/*.py", "statemachines/*.json", "*.yaml"):
        for name, options in re.findall(r"\bpenstock ([a-z][a-z-]*)((?: --[a-z-]+)+)", file.read_text()):
            known = {option for one in PROGRAM.commands[name].params for option in one.opts + one.secondary_opts}
            assert not set(options.split()) - known, f"{named(file)}: penstock {name}{options}"


def test_targets_of_make_that_pages_name_are_there() -> None:
    for said in (said for page in PAGES for said in commands(page, "make")):
        assert said.words[0] in TARGETS, str(said)
        for given in (word.removeprefix("ARGS=") for word in said.words if word.startswith("ARGS=")):
            if (target := said.words[0]) in ("demo", "deploy"):
                parse(Said(said.where, (target, *given.split())))


def test_modules_that_pages_say_to_run_are_there_with_their_options() -> None:
    for said in (said for page in PAGES for said in commands(page, "python -m")):
        module, *words = said.words
        spec = find_spec(f"{module}.__main__" if (REPOSITORY / module.replace(".", "/")).is_dir() else module)
        assert spec, str(said)
        assert spec.origin, str(said)
        for option in (word for word in words if word.startswith("--")):
            assert f'"{option}"' in Path(spec.origin).read_text(), str(said)


def test_links_of_pages_lead_somewhere() -> None:
    for page, link in ((of, found) for of in PAGES for found in links(of)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{named(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{named(page)}: {link}"


def test_files_and_tests_that_pages_name_are_there() -> None:
    for page in PAGES:
        for path, test in FILE.findall(page.read_text()):
            assert (REPOSITORY / path).is_file(), f"{named(page)} names {path}"
            is_there = not test or f"def {test}(" in (REPOSITORY / path).read_text()
            assert is_there, f"{named(page)} names {path}::{test}"


def test_names_that_pages_put_in_code_are_names_of_something_here() -> None:
    """Parameters, alarms, metrics, functions, settings, fields: whatever has two words."""
    here = {word for path in tracked() if path.suffix not in (".md", ".png") for word in names_of(path)}

    for page in PAGES:
        for name in names(page):
            spellings = {name, snake(name), name.lower().removeprefix("penstock_")}
            assert spellings & (here | OTHERS_NAMES), f"{named(page)} names {name}: nothing here is called so"


def names_of(path: Path) -> set[str]:
    return {path.stem, path.name, *re.findall(r"\w+", path.read_text(errors="replace"))}


def snake(name: str) -> str:
    """As boto3 calls what AWS calls ListStreams."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def test_datasets_and_rates_that_pages_show_can_be_deployed(tmp_path: Path) -> None:
    shown = [block for page in PAGES for block in yaml_blocks(page)]
    instead = re.compile(r"^# (upsert|event_id): ", re.MULTILINE)
    shown += [
        re.sub("^on_overwrite: .*", "", block.replace(f"# {word}: ", f"{word}: "), flags=re.MULTILINE)
        for block in shown
        for word in instead.findall(block)
    ]
    some = {"name": "shown", "prefix": "shown/", "format": "csv", "columns": [{"name": "id", "type": "text"}]}

    for number, given in enumerate(map(yaml.safe_load, shown)):
        is_rate = "window" in given
        told = given if is_rate else {**some, "table": "shown", **given}
        folder = tmp_path / str(number)
        place = folder / "rates" if is_rate else folder
        place.mkdir(parents=True)
        (place / f"{told['name']}.yaml").write_text(yaml.safe_dump(told))
        assert (load_rates if is_rate else load_datasets)(folder).keys() == {told["name"]}
    assert len(shown) >= 7


def test_pages_that_the_code_names_are_there() -> None:
    for file in tracked("*.py", "*.yaml", "*.yml", "*.toml", "*.sql", "Makefile"):
        for path in re.findall(r"\bdocs/(?:adr/)?[\w-]+\.md\b", file.read_text()):
            assert (REPOSITORY / path).is_file(), f"{named(file)} names {path}"


def test_each_decision_is_in_the_list_once_in_order_and_by_its_own_title() -> None:
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((.+)\)$", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    files = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))

    assert [file for _, _, file in listed] == files
    for number, title, file in listed:
        assert int(file[:4]) == int(number)
        assert (DECISIONS / file).read_text().startswith(f"# {number}. {title}")
