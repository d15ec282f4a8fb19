"""`meltano add --from-ref`, with a real Meltano in a fresh project and the built wheel."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from docs.tools.hub_definition import FOLDER
from target_apollo.demo.meltano import executable
from tests.helpers.built_wheel import ROOT, build_wheel

pytestmark = pytest.mark.full

DEFINITIONS = [
    ("extractor", ROOT / FOLDER / "extractors" / "tap-apollo-sync.yml"),
    ("loader", ROOT / FOLDER / "loaders" / "target-apollo.yml"),
    ("mapper", ROOT / FOLDER / "mappers" / "map-apollo-leads.yml"),
]


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
def project(tmp_path_factory: pytest.TempPathFactory) -> FreshProject:
    folder = tmp_path_factory.mktemp("project")
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    project = FreshProject(folder)
    for kind, plugin in DEFINITIONS:
        # What a user gets from a package index, the test takes from this source tree.
        text = plugin.read_text().replace("pip_url: target-apollo\n", f"pip_url: {wheel}\n")
        definition = folder / plugin.name
        definition.write_text(text)
        project.meltano("add", "--plugin-type", kind, "--from-ref", str(definition), plugin.stem)
    return project


@pytest.mark.parametrize("plugin", [path.stem for _, path in DEFINITIONS])
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
