"""`apollo-sync` speaks of the sync that Meltano runs: same settings, source, ledger, streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.tools.hub_definition import loader, mapper
from target_apollo.cli import main
from target_apollo.config.meltano import settings_of_project
from target_apollo.config.meltano_project import PluginKind
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import read_config
from target_apollo.demo.meltano import executable
from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox

KEY = "k3y-of-the-project"
ROWS = [
    {
        "type": "SCHEMA",
        "stream": "crm-contacts",
        "key_properties": ["id"],
        "schema": {"properties": {"id": {"type": "integer"}, "email": {"type": "string"}}},
    },
    {"type": "RECORD", "stream": "crm-contacts", "record": {"id": 1, "email": "ada@e.example"}},
    {"type": "RECORD", "stream": "crm-contacts", "record": {"id": 2, "email": "none"}},
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, api_keys={KEY: None})) as sandbox:
        yield sandbox


class Written:
    """A Meltano project whose loader and mapper are those of these tests."""

    def __init__(self, root: Path, api_url: str) -> None:
        self.root = root
        self.config: dict[str, Any] = {"api_url": api_url}
        self.further_loaders: list[dict[str, Any]] = []
        self.extractors = [{"name": "tap-crm", "namespace": "tap_crm", "executable": "cat"}]
        (root / ".env").write_text(f"TARGET_APOLLO_API_KEY={KEY}\n")
        self.write()

    def write(self, **config: Any) -> None:
        self.config |= config
        plugins = [loader(), mapper()]
        for plugin in plugins:
            # They stand beside the tests, where Meltano would install them.
            del plugin["pip_url"]
        plugins[0]["config"] = self.config
        plugins[1]["mappings"] = [{"name": "q", "config": {"verdicts_path": "state/v.jsonl"}}]
        project = {
            "default_environment": "dev",
            "send_anonymous_usage_stats": False,
            "environments": [
                {"name": "dev"},
                {
                    "name": "prod",
                    "config": {
                        "plugins": {
                            "loaders": [{"name": "target-apollo", "config": {"max_records": 1}}]
                        }
                    },
                },
            ],
            "plugins": {
                "extractors": self.extractors,
                "loaders": [plugins[0], *self.further_loaders],
                "mappers": [plugins[1]],
            },
        }
        (self.root / "meltano.yml").write_text(yaml.safe_dump(project))

    def meltano(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["meltano", *arguments],
            cwd=self.root,
            stdin=None if "input" in options else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **options,
        )


@pytest.fixture
def project(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Written:
    ours = ("MELTANO_", "TARGET_APOLLO_", "MAP_APOLLO_")
    for name in [name for name in os.environ if name.startswith(ours)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MELTANO_CLI_DISABLE_VERSION_CHECK", "true")
    monkeypatch.setenv("NO_COLOR", "1")
    places = [str(Path(sys.executable).parent), str(executable().parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(places))
    # What the commands load from .env goes with the test.
    monkeypatch.setenv("TARGET_APOLLO_API_KEY", "")
    monkeypatch.delenv("TARGET_APOLLO_API_KEY")
    monkeypatch.chdir(tmp_path)
    return Written(tmp_path, sandbox.url)


def rows_file(folder: Path) -> Path:
    path = folder / "rows.singer"
    path.write_text("".join(json.dumps(message) + "\n" for message in ROWS))
    return path


def test_a_command_in_a_project_takes_its_settings_and_says_so(
    project: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 0
    told = capsys.readouterr()
    assert told.err.splitlines()[0] == (
        f"Settings: target-apollo of the Meltano project {project.root}, environment dev."
    )
    assert told.out.rstrip().endswith("Usable.")


@pytest.mark.full
def test_a_check_warns_of_a_key_in_plain_text_in_the_project_s_file(
    project: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.root / "meltano.yml"
    path.write_text(f"{path.read_text()}env:\n  TARGET_APOLLO_API_KEY: {KEY}\n")
    assert main(["check"]) == 0
    told = capsys.readouterr().out
    # Meltano has written the file anew when it was asked.
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if KEY in text)
    assert f"Line {line} of {path} has the value of 'TARGET_APOLLO_API_KEY' in plain text" in told
    assert KEY not in told


@pytest.mark.full
def test_below_the_project_s_folder_paths_in_settings_are_those_of_the_run(
    project: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project.root / "analyze"
    below.mkdir()
    rows_file(below)
    monkeypatch.chdir(below)
    done = subprocess.run(
        ["apollo-sync", "plan", "--environment", "prod", "rows.singer"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "environment prod." in done.stderr
    assert (project.root / ".target-apollo" / "runs").is_dir()
    assert not (below / ".target-apollo").exists()
    (summary,) = (project.root / ".target-apollo" / "runs").iterdir()
    assert json.loads(summary.read_text())["records"]["received"] == 1


@pytest.mark.full
def test_the_commands_of_the_plugin_have_the_settings_of_the_run(project: Written) -> None:
    project.write(
        streams={"crm-contacts": {"object": "contacts", "key": ["id"]}, "x*": False},
        field_policy={"title": "never"},
        rejects_path="state/bad.singer",
    )
    text = rows_file(project.root).read_text()
    assert project.meltano("invoke", "target-apollo", input=text).returncode == 0
    check = project.meltano("invoke", "target-apollo:check")
    assert check.stdout.rstrip().endswith("Usable.")
    plan = project.meltano("invoke", "target-apollo:plan", input=text)
    assert plan.returncode == 0, plan.stderr
    assert "unchanged" in plan.stdout
    replay = project.meltano("invoke", "target-apollo:replay")
    assert "state/bad.singer; 1 were rejected again" in replay.stderr
    report = project.meltano("invoke", "target-apollo:report", "--runs", "2")
    assert "state/bad.singer" in report.stdout
    assert "title" in project.meltano("invoke", "target-apollo:fields").stdout
    explain = project.meltano("invoke", "map-apollo-leads:explain", "7")
    assert f"{project.root / 'state' / 'v.jsonl'} can't be read" in explain.stderr


@pytest.mark.full
def test_variables_of_a_command_say_what_meltano_s_file_says(project: Written) -> None:
    project.write(
        streams={"crm-contacts": {"object": "contacts", "key": ["id", "a"]}, "x*": False},
        custom_fields={"a_b": "A \u00e9 $5", "empty": ""},
        stream_maps={"crm-contacts": {"n": "record['a.b'] + 1.5"}},
        stream_map_config={"a": 1, "b": {"c": [1, "x"], "d": True}},
        field_policy={},
        lists=[],
        quota_share=0.5,
    )
    shown = (
        "import json; from target_apollo.config.sources import read_config, source_in_meltano; "
        "print(json.dumps(read_config([source_in_meltano()])))"
    )
    project.further_loaders = [
        {
            "name": "eu",
            "inherit_from": "target-apollo",
            "config": {"field_policy": {"title": "never"}},
            "commands": {"show": {"executable": sys.executable, "args": f'-c "{shown}"'}},
        }
    ]
    project.write()
    command = project.meltano("invoke", "eu:show")
    assert command.returncode == 0, command.stderr
    found = settings_of_project(PluginKind.LOADER, "eu")
    assert found is not None
    assert json.loads(command.stdout) == read_config([found])


@pytest.mark.full
def test_of_several_loaders_one_has_to_be_named(project: Written) -> None:
    project.further_loaders = [{"name": "eu", "inherit_from": "target-apollo"}]
    project.write()
    with pytest.raises(SettingsError, match="name one of target-apollo, eu with --plugin"):
        settings_of_project(PluginKind.LOADER)
    found = settings_of_project(PluginKind.LOADER, "eu", "prod")
    assert found is not None
    assert (found.plugin, found.environment) == ("eu", "prod")


@pytest.mark.full
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ("nowhere", "Environment 'nowhere' was not found"),
        ("dev", "'NOT_SET' referenced but not set"),
    ],
)
def test_why_meltano_can_t_tell_is_said(project: Written, environment: str, says: str) -> None:
    project.write(default_owner="$NOT_SET")
    with (project.root / "meltano.yml").open("a") as file:
        file.write("ff: {strict_env_var_mode: true}\n")
    with pytest.raises(SettingsError) as refused:
        settings_of_project(PluginKind.LOADER, None, environment)
    assert says in refused.value.problems[0]


def test_without_meltano_nothing_is_guessed(
    project: Written, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("TARGET_APOLLO_API_KEY", KEY)
    assert main(["replay"]) == 2
    assert "there is no meltano on the PATH to ask" in capsys.readouterr().err
    assert main(["check", "--config", "ENV", "--environment", "prod"]) == 2


def test_a_meltano_that_is_too_slow_is_not_waited_for(
    project: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = project.root / "bin"
    slow.mkdir()
    (slow / "meltano").write_text("#!/bin/sh\nexec sleep 60\n")
    (slow / "meltano").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    monkeypatch.setattr("target_apollo.config.meltano._LONGEST_SECONDS", 0.2)
    with pytest.raises(SettingsError, match="has not told the settings of target-apollo within"):
        settings_of_project(PluginKind.LOADER)


def test_an_answer_that_is_none_is_no_settings(
    project: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = project.root / "bin"
    other.mkdir()
    (other / "meltano").write_text("#!/bin/sh\necho k3y; echo k3y >&2\n")
    (other / "meltano").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}:{os.environ['PATH']}")
    with pytest.raises(SettingsError, match="can't tell the settings") as refused:
        settings_of_project(PluginKind.LOADER)
    assert "k3y" not in refused.value.problems[0]
