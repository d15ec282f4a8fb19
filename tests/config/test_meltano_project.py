"""The plugins of this package in a Meltano project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from target_apollo.config.meltano_project import PluginKind, Project, own_plugins
from target_apollo.config.settings import SettingsError


@pytest.fixture(autouse=True)
def _no_project_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MELTANO_PROJECT_ROOT", raising=False)


@pytest.mark.parametrize(
    ("declared", "own"),
    [
        ([{"name": "target-apollo"}], ["target-apollo"]),
        ([{"name": "crm", "namespace": "target_apollo"}], ["crm"]),
        ([{"name": "crm", "executable": "/opt/bin/target-apollo"}], ["crm"]),
        ([{"name": "target-jsonl"}], []),
        ([{"name": "eu", "inherit_from": "target-apollo"}], ["eu"]),
        (
            [
                {"name": "child", "inherit_from": "crm"},
                {"name": "crm", "namespace": "target_apollo"},
                {"name": "other", "inherit_from": "target-csv"},
            ],
            ["crm", "child"],
        ),
    ],
)
def test_a_plugin_is_of_this_package_by_name_namespace_executable_or_parent(
    declared: list[dict[str, Any]], own: list[str]
) -> None:
    assert own_plugins(declared, PluginKind.LOADER) == own


def test_the_project_is_found_from_a_folder_below_and_in_included_files(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text(
        "include_paths: [./parts/*.yml]\n"
        "plugins:\n  extractors: [{name: tap-a}, {name: tap-apollo-sync}, {name: tap-b}]\n"
    )
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "apollo.yml").write_text("plugins: {loaders: [{name: target-apollo}]}\n")
    below = tmp_path / "parts" / "deep"
    below.mkdir()
    project = Project.around(below)
    assert project is not None
    assert project.root == tmp_path
    assert project.own_plugins(PluginKind.LOADER) == ["target-apollo"]
    assert project.other_extractors() == ["tap-a", "tap-b"]
    assert [*project.files] == [tmp_path / "meltano.yml", tmp_path / "parts" / "apollo.yml"]


def test_a_file_that_fits_two_patterns_has_its_plugins_once(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text("include_paths: ['./*.yml', './apollo.yml']\n")
    (tmp_path / "apollo.yml").write_text("plugins: {loaders: [{name: target-apollo}]}\n")
    project = Project.around(tmp_path)
    assert project is not None
    assert project.own_plugins(PluginKind.LOADER) == ["target-apollo"]


@pytest.mark.parametrize("pattern", ["/etc/*.yml", "''"])
def test_a_pattern_that_is_none_is_refused(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "meltano.yml").write_text(f"include_paths: [{pattern}]\n")
    with pytest.raises(SettingsError, match="entry of include_paths"):
        Project.around(tmp_path)


def test_a_name_that_looks_like_a_number_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text(
        "plugins: {loaders: [{name: 2026, namespace: target_apollo}]}\n"
    )
    project = Project.around(tmp_path)
    assert project is not None
    assert project.own_plugins(PluginKind.LOADER) == ["2026"]


def test_where_the_working_folder_is_gone_there_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Project.around_here() is None


def test_meltano_s_own_word_for_the_folder_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meltano.yml").write_text("plugins: {}\n")
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))
    project = Project.around(Path("/"))
    assert project is not None
    assert project.root == tmp_path


def test_a_folder_outside_a_project_has_none() -> None:
    assert Project.around(Path("/")) is None


def test_values_of_mappings_are_those_of_the_named_mapper(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text(
        "plugins:\n  mappers:\n"
        "  - {name: a, mappings: [{name: x, config: {verdicts_path: v}}, {name: y}]}\n"
        "  - {name: b, mappings: [{name: z, config: {verdicts_path: w}}]}\n"
    )
    project = Project.around(tmp_path)
    assert project is not None
    assert project.mapping_values("a", "verdicts_path") == {"v"}


@pytest.mark.parametrize("text", ["a: [", "a: b: k3y", "\x00"])
def test_a_file_that_is_no_yaml_is_refused_without_a_line_of_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "meltano.yml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        Project.around(tmp_path)
    assert "is no YAML" in refused.value.problems[0]
    assert "k3y" not in refused.value.problems[0]


@pytest.mark.parametrize("text", ["[1]", "plugins: 7", "", "plugins: {loaders: {a: 1}}"])
def test_an_odd_file_has_no_plugins(tmp_path: Path, text: str) -> None:
    (tmp_path / "meltano.yml").write_text(text)
    project = Project.around(tmp_path)
    assert project is not None
    assert project.own_plugins(PluginKind.LOADER) == []
