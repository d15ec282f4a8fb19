"""`meltano add --from-ref` takes what the wheel's own `apollo-sync definition` prints."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from target_apollo.cli.definition.command import PLUGINS
from target_apollo.demo.meltano import executable
from tests.helpers.built_wheel import Installed

pytestmark = pytest.mark.full


class FreshProject:
    """A Meltano project in which nothing is declared yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "meltano.yml").write_text("send_anonymous_usage_stats: false\n")

    def meltano(self, *arguments: str, **settings: str) -> str:
        """Runs Meltano to its end and returns what it wrote to its standard output."""
        ours = ("MELTANO_", "TARGET_APOLLO_", "MAP_APOLLO_LEADS_", "PYTHON", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        done = subprocess.run(
            [executable(), *arguments],
            cwd=self.folder,
            env={**kept, "MELTANO_CLI_DISABLE_VERSION_CHECK": "true", **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if "No matching distribution" in done.stderr or "Failed to fetch" in done.stderr:
            pytest.skip("no package index can be reached")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(
    built_wheel: Path, installed_wheel: Installed, tmp_path_factory: pytest.TempPathFactory
) -> FreshProject:
    project = FreshProject(tmp_path_factory.mktemp("project"))
    for kind, plugin in PLUGINS.items():
        printed = installed_wheel.run("apollo-sync", "definition", kind)
        assert f'pip_url: "{built_wheel}' in printed.stdout, printed.stderr
        definition = project.folder / f"{kind}.yml"
        definition.write_text(printed.stdout)
        project.meltano("add", "--plugin-type", kind, "--from-ref", str(definition), plugin)
    return project


@pytest.mark.parametrize("plugin", PLUGINS.values())
def test_what_is_added_is_installed_and_tells_its_version(
    project: FreshProject, plugin: str
) -> None:
    assert plugin in project.meltano("invoke", plugin, "--version")


def test_meltano_lists_every_setting_that_the_target_has(project: FreshProject) -> None:
    about = json.loads(project.meltano("invoke", "target-apollo", "--about", "--format=json"))
    listed = project.meltano("config", "list", "--all", "target-apollo")
    shown = {line.split()[0] for line in listed.splitlines() if line and not line.startswith(" ")}
    assert set(about["settings"]["properties"]) <= shown


def test_meltano_knows_both_ways_to_log_in(project: FreshProject) -> None:
    listed = project.meltano("config", "list", "target-apollo")
    assert "Group 1: api_key\n" in listed
    assert "Group 2: client_id, client_secret\n" in listed


def test_the_target_takes_every_default_that_the_definition_gives(project: FreshProject) -> None:
    assert json.loads(project.meltano("config", "print", "target-apollo"))["mode"] == "upsert"
    # Settings that the target refuses would end this with exit code 2.
    project.meltano("invoke", "target-apollo", TARGET_APOLLO_API_KEY="sandbox")


def test_secrets_are_not_shown(project: FreshProject) -> None:
    shown = project.meltano("config", "list", "target-apollo", TARGET_APOLLO_API_KEY="k3y")
    assert "api_key" in shown
    assert "k3y" not in shown
