"""What is published: the files that git has, under the version's tag, without a password."""

from __future__ import annotations

import re
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.tools import distribution
from docs.tools.distribution import (
    differences,
    files_of_the_checkout,
    main,
    unfit_to_publish,
    wanted_in_the_sdist,
    wanted_in_the_wheel,
)
from docs.tools.package_settings import is_nobodys, urls

ROOT = Path(__file__).resolve().parents[2]
CHECKOUT = [
    ".ci/run",
    ".github/workflows/publish.yml",
    "README.md",
    "target_apollo/__init__.py",
    "target_apollo/cli/definition/target-apollo.yml",
    "target_apollo/demo/steps.py",
    "tests/__init__.py",
]
REAL = ["https://code.test/target-apollo/target-apollo"]
DATED = "# Changelog\n\n## 1.2 (2027-01-31)\n"


@pytest.fixture
def workflow() -> dict[str, Any]:
    path = ROOT / ".github" / "workflows" / "publish.yml"
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


# --- what is in it


def test_the_sdist_has_what_git_has_without_the_machinery_of_its_host() -> None:
    assert wanted_in_the_sdist(CHECKOUT, "1.2") == {
        "target_apollo-1.2/PKG-INFO",
        "target_apollo-1.2/README.md",
        "target_apollo-1.2/target_apollo/__init__.py",
        "target_apollo-1.2/target_apollo/cli/definition/target-apollo.yml",
        "target_apollo-1.2/target_apollo/demo/steps.py",
        "target_apollo-1.2/tests/__init__.py",
    }


def test_the_wheel_has_the_package_without_the_demo() -> None:
    files = {
        path for path in wanted_in_the_wheel(CHECKOUT, "1.2") if path.startswith("target_apollo/")
    }
    assert files == {"target_apollo/__init__.py", "target_apollo/cli/definition/target-apollo.yml"}


def test_a_file_too_few_and_one_too_many_are_both_named() -> None:
    said = differences("a.whl", {"kept", "lost"}, {"kept", "notes.txt"})
    assert said == [
        "a.whl lacks the file lost: git has it.",
        "a.whl holds a file that is not for it: notes.txt.",
    ]


def test_the_files_of_the_checkout_are_those_of_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    files = files_of_the_checkout()
    assert {"README.md", "target_apollo/__init__.py"} <= {*files}
    assert not any(path.endswith(".pyc") for path in files)


def test_a_distribution_with_a_file_that_git_does_not_have_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(distribution, "DIST", tmp_path)
    monkeypatch.setattr(distribution, "files_of_the_checkout", lambda: CHECKOUT)
    number = version("target-apollo")
    with zipfile.ZipFile(tmp_path / f"target_apollo-{number}-py3-none-any.whl", "w") as wheel:
        for name in {*wanted_in_the_wheel(CHECKOUT, number), "target_apollo/.env"}:
            wheel.writestr(name, "")
    with tarfile.open(tmp_path / f"target_apollo-{number}.tar.gz", "w:gz") as sdist:
        for name in wanted_in_the_sdist(CHECKOUT, number):
            sdist.addfile(tarfile.TarInfo(name))
    assert main([]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"target_apollo-{number}-py3-none-any.whl holds a file that is not for it: "
        "target_apollo/.env."
    ]


def test_a_distribution_that_is_not_there_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(distribution, "DIST", tmp_path)
    monkeypatch.setattr(distribution, "files_of_the_checkout", lambda: CHECKOUT)
    assert main([]) == 1
    assert "dist lacks the file target_apollo-" in capsys.readouterr().err


# --- whether it may be published


def test_a_version_whose_day_and_addresses_are_set_may_be_published() -> None:
    assert unfit_to_publish("v1.2", "1.2", DATED, REAL) == []


@pytest.mark.parametrize(
    ("tag", "changelog", "addresses", "said"),
    [
        ("v1.3", DATED, REAL, "The tag v1.3"),
        ("v1.2", "# Changelog\n\n## 1.2 (unreleased)\n", REAL, "CHANGELOG.md"),
        ("v1.2", DATED, ["https://code.example/a/b"], "[project.urls]"),
    ],
)
def test_a_version_is_not_published_by_mistake(
    tag: str, changelog: str, addresses: list[str], said: str
) -> None:
    (sentence,) = unfit_to_publish(tag, "1.2", changelog, addresses)
    assert said in sentence


def test_the_version_is_in_one_place() -> None:
    number = re.escape(version("target-apollo"))
    for path in (ROOT / "target_apollo").rglob("*.py"):
        assert not re.search(rf"['\"]{number}['\"]", path.read_text(encoding="utf-8")), path


def test_the_projects_addresses_are_all_below_one() -> None:
    repository = urls()["Repository"]
    assert all(url.startswith(repository) for url in urls().values())
    assert is_nobodys("https://code.example/a")
    assert not is_nobodys("https://example.test/a")


# --- who publishes it


def test_a_pushed_tag_publishes_and_nothing_else_does(workflow: dict[str, Any]) -> None:
    # YAML 1.1 reads the key `on` as true.
    assert workflow[True] == {"push": {"tags": ["v*"]}}


def test_the_tag_is_looked_at_before_anything_is_published(workflow: dict[str, Any]) -> None:
    lines = [step.get("run", "") for step in workflow["jobs"]["build"]["steps"]]
    assert 'make dist PUBLISH="$GITHUB_REF_NAME"' in lines
    assert workflow["jobs"]["publish"]["needs"] == "build"


def test_the_index_is_given_a_proof_and_no_password(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {}
    assert workflow["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert workflow["jobs"]["publish"]["environment"] == "release"
    text = (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert "secrets." not in text


def test_the_job_that_runs_code_of_the_project_may_not_publish(workflow: dict[str, Any]) -> None:
    assert workflow["jobs"]["build"]["permissions"] == {"contents": "read"}
    assert not any("run" in step for step in workflow["jobs"]["publish"]["steps"])
