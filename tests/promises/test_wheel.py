"""The wheel holds what it should, and works where no source tree is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path, PurePosixPath

import pytest
import yaml

from docs.tools.package_settings import urls
from tests.helpers.built_wheel import ROOT, Installed
from tests.promises.conftest import lines_of, record, schema, state

pytestmark = pytest.mark.full

VERSION = version("target-apollo")
PLUGINS = ["map-apollo-leads", "tap-apollo-sync", "target-apollo"]
PROGRAMS = ["apollo-sync", *PLUGINS]
PACKAGE = ROOT / "target_apollo"


@pytest.fixture(scope="module")
def files(built_wheel: Path) -> set[PurePosixPath]:
    with zipfile.ZipFile(built_wheel) as archive:
        return {PurePosixPath(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(built_wheel: Path) -> str:
    with zipfile.ZipFile(built_wheel) as archive:
        return archive.read(f"target_apollo-{VERSION}.dist-info/METADATA").decode()


@pytest.fixture
def sandbox_url(installed_wheel: Installed) -> Iterator[str]:
    served = subprocess.Popen(
        [installed_wheel.bin / "apollo-sync", "sandbox", "--port", "0", "--strict"],
        cwd=installed_wheel.folder,
        env=installed_wheel.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stdout is not None
        yield served.stdout.readline().split()[-1]
    finally:
        served.terminate()
        served.communicate(timeout=60)


# --- what it holds


def test_it_holds_the_package_without_the_demo_and_nothing_beside_it(
    files: set[PurePosixPath],
) -> None:
    inside = {path for path in files if path.parts[0] == "target_apollo"}
    sources = {
        path.relative_to(ROOT)
        for path in PACKAGE.rglob("*")
        if path.suffix in {".py", ".j2", ".css", ".js", ".txt", ".yml"}
        and PACKAGE / "demo" not in path.parents
    }
    assert {str(path) for path in inside} == {*map(str, sources), "target_apollo/py.typed"}
    assert {path.parts[0] for path in files - inside} == {f"target_apollo-{VERSION}.dist-info"}


def test_it_carries_its_licence(files: set[PurePosixPath], built_wheel: Path) -> None:
    (licence,) = (path for path in files if path.name == "LICENSE")
    with zipfile.ZipFile(built_wheel) as archive:
        assert archive.read(str(licence)) == (ROOT / "docs" / "LICENSE").read_bytes()


def test_its_classifiers_name_the_oldest_python_that_it_takes(metadata: str) -> None:
    (oldest,) = re.findall(r"^Requires-Python: >=(.+)$", metadata, re.MULTILINE)
    named = re.findall(r"^Classifier: .* :: Python :: (3\..+)$", metadata, re.MULTILINE)
    assert named[0] == oldest


def test_every_package_that_the_code_imports_is_a_declared_dependency(metadata: str) -> None:
    required = re.findall(r"^Requires-Dist: ([\w.-]+)(.*)$", metadata, re.MULTILINE)
    declared = {normal(name) for name, rest in required if "extra == 'dev'" not in rest}
    owners = packages_distributions()
    undeclared = {
        name
        for name in imported()
        # A package for an older Python may not be here, and can't be asked then.
        if name in owners and not declared & {normal(owner) for owner in owners[name]}
    }
    assert undeclared == set()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """The foreign packages that the code imports, also inside functions."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"target_apollo"}


# --- what it does


def test_it_runs_from_where_it_was_installed(installed_wheel: Installed) -> None:
    said = installed_wheel.run(
        "python", "-c", "import target_apollo; print(target_apollo.__file__)"
    )
    assert Path(said.stdout.strip()).is_relative_to(installed_wheel.folder / "venv")


@pytest.mark.parametrize("command", PROGRAMS)
def test_each_command_tells_its_version(installed_wheel: Installed, command: str) -> None:
    said = installed_wheel.run(command, "--version")
    assert said.returncode == 0, said.stderr
    assert VERSION in said.stdout


@pytest.mark.parametrize("command", PLUGINS)
def test_each_plugin_tells_its_settings(installed_wheel: Installed, command: str) -> None:
    said = installed_wheel.run(command, "--about", "--format=json")
    assert said.returncode == 0, said.stderr
    about = json.loads(said.stdout)
    assert about["name"] == command
    assert about["settings"]["properties"]


def test_apollo_sync_has_a_help(installed_wheel: Installed) -> None:
    said = installed_wheel.run("apollo-sync", "--help")
    assert said.returncode == 0
    assert "Commands:" in said.stdout


@pytest.mark.parametrize("kind", ["extractor", "loader", "mapper"])
def test_it_carries_the_definitions_for_meltano(installed_wheel: Installed, kind: str) -> None:
    said = installed_wheel.run("apollo-sync", "definition", kind)
    assert said.returncode == 0, said.stderr
    assert yaml.safe_load(said.stdout)["executable"] in PLUGINS


def test_it_names_the_addresses_of_the_project(metadata: str) -> None:
    named = re.findall(r"^Project-URL: (\w+), (https://\S+)$", metadata, re.MULTILINE)
    assert dict(named) == urls()
    assert {name for name, _ in named} >= {"Changelog", "Documentation", "Issues", "Repository"}


def test_it_syncs_into_its_own_sandbox(installed_wheel: Installed, sandbox_url: str) -> None:
    config = installed_wheel.folder / "config.json"
    config.write_text(json.dumps({"api_url": sandbox_url, "api_key": "sandbox"}))
    messages = [
        schema("contacts"),
        record("contacts", id=1, email="ann@one.example", first_name="Ann", last_name="One"),
        record("contacts", id=2, email="bob@two.example", first_name="Bob", last_name="Two"),
        state({"bookmarks": {"contacts": 2}}),
    ]
    runs = [
        installed_wheel.run(
            "target-apollo", "--config", str(config), given=lines_of(messages).decode()
        )
        for _ in range(2)
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    assert [json.loads(run.stdout) for run in runs] == [{"bookmarks": {"contacts": 2}}] * 2
    written = [summary["records"] for summary in summaries(installed_wheel.folder)]
    assert [records["created"] for records in written] == [2, 0]
    assert [records["unchanged"] for records in written] == [0, 2]


def summaries(folder: Path) -> list[dict[str, dict[str, int]]]:
    """The summaries of the runs in a folder, the oldest first."""
    paths = sorted(
        (folder / ".target-apollo" / "runs").glob("*.json"), key=lambda p: p.stat().st_mtime_ns
    )
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]
