"""`apollo-sync definition`: what `meltano add --from-ref` takes, with the way to this package."""

from __future__ import annotations

import pytest
import yaml

from target_apollo.cli import main
from target_apollo.cli.definition import command
from target_apollo.cli.definition.command import PLUGINS, definition, pip_url_of
from target_apollo.system.installation import Source

every_kind = pytest.mark.parametrize("kind", PLUGINS)


@every_kind
def test_a_plugin_is_printed_as_yaml(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["definition", kind]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert yaml.safe_load(printed.out)["name"] == PLUGINS[kind]


def test_meltano_installs_from_where_this_package_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "own_source", lambda: Source("/src/target-apollo"))
    monkeypatch.setattr(command, "extras_installed", lambda: ["postgres", "sandbox"])
    assert main(["definition", "loader"]) == 0
    written = yaml.safe_load(capsys.readouterr().out)
    assert written["pip_url"] == "/src/target-apollo[postgres]"


def test_somebody_may_name_another_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["definition", "loader", "--pip-url", "./a: wheel"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["pip_url"] == "./a: wheel"


def test_a_source_that_is_gone_is_said_and_nothing_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "own_source", lambda: None)
    assert main(["definition", "loader"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "--pip-url" in said.err


@every_kind
def test_nothing_but_the_source_differs_from_the_file(kind: str) -> None:
    one, other = (yaml.safe_load(definition(kind, source)) for source in ("one", "other"))
    assert one.pop("pip_url") == "one"
    assert other.pop("pip_url") == "other"
    assert one == other


@pytest.mark.parametrize(
    ("source", "pip_url"),
    [
        (Source("target-apollo"), "target-apollo[postgres]"),
        (Source("/my code/target-apollo"), "'/my code/target-apollo[postgres]'"),
        (Source("/code", editable=True), "-e /code[postgres]"),
        (
            Source("git+https://code.example/a.git"),
            "target-apollo[postgres]@git+https://code.example/a.git",
        ),
    ],
)
def test_meltano_reads_it_as_one_requirement(source: Source, pip_url: str) -> None:
    assert pip_url_of(source, ["postgres", "sandbox"]) == pip_url
