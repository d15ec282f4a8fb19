"""How an extra comes to this package, wherever it was installed from and by whichever program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

from target_apollo.system import installation
from target_apollo.system.installation import (
    EXTRAS,
    Installer,
    Source,
    command,
    extras_installed,
    how_to_install,
    installer_of,
    source_of,
)


def direct_url(url: str, **more: object) -> str:
    return json.dumps({"url": url, **more})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "source tree"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder


# --- what it was installed from


def test_what_came_from_an_index_is_named_as_there() -> None:
    assert source_of(None) == Source("target-apollo")


def test_a_folder_is_named_as_it_is_on_this_machine(checkout: Path) -> None:
    noted = direct_url(checkout.as_uri(), dir_info={})
    assert source_of(noted) == Source(str(checkout))


def test_a_folder_whose_code_is_used_where_it_is_stays_editable(checkout: Path) -> None:
    noted = direct_url(checkout.as_uri(), dir_info={"editable": True})
    assert source_of(noted) == Source(str(checkout), editable=True)


def test_a_wheel_is_named(tmp_path: Path) -> None:
    wheel = tmp_path / "target_apollo-1-py3-none-any.whl"
    wheel.touch()
    assert source_of(direct_url(wheel.as_uri(), archive_info={})) == Source(str(wheel))


def test_a_folder_or_wheel_that_is_gone_is_not_named(tmp_path: Path) -> None:
    assert source_of(direct_url((tmp_path / "gone").as_uri(), dir_info={})) is None
    assert source_of(direct_url((tmp_path / "gone.whl").as_uri(), archive_info={})) is None


def test_a_folder_that_holds_something_else_by_now_is_not_named(tmp_path: Path) -> None:
    assert source_of(direct_url(tmp_path.as_uri(), dir_info={})) is None


def test_a_repository_is_named_with_the_branch_that_was_asked_for() -> None:
    commit = {"vcs": "git", "commit_id": "c0ffee", "requested_revision": "stable"}
    found = source_of(direct_url("https://code.example/target-apollo.git", vcs_info=commit))
    assert found == Source("git+https://code.example/target-apollo.git@stable")


def test_a_user_of_ssh_is_no_secret() -> None:
    noted = direct_url("ssh://git@code.example/target-apollo.git", vcs_info={"vcs": "git"})
    assert source_of(noted) == Source("git+ssh://git@code.example/target-apollo.git")


@pytest.mark.parametrize("user", ["ada:s3cret", "t0ken", ":s3cret"])
def test_an_address_with_a_secret_is_not_named(user: str) -> None:
    noted = direct_url(f"https://{user}@code.example/a.git", vcs_info={"vcs": "git"})
    assert source_of(noted) is None


@pytest.mark.parametrize("noted", ["", "[]", "{}", '{"url": 1}', '{"url": "https://["}', "{"])
def test_a_note_that_can_not_be_read_names_nothing(noted: str) -> None:
    assert source_of(noted) is None


@pytest.mark.parametrize(
    ("address", "requirement"),
    [
        ("target-apollo", "target-apollo[postgres,s3]"),
        ("/opt/target-apollo", "/opt/target-apollo[postgres,s3]"),
        (
            "git+https://code.example/a.git",
            "target-apollo[postgres,s3]@git+https://code.example/a.git",
        ),
    ],
)
def test_a_requirement_names_its_extras_in_order(address: str, requirement: str) -> None:
    assert Source(address).requirement(["s3", "postgres"]) == requirement


def test_a_requirement_without_extras_has_no_brackets() -> None:
    assert Source(".").requirement() == "."


# --- by which program


def made(folder: Path, *files: str) -> Path:
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).touch()
    return folder


def test_meltano_is_known_by_its_folder(tmp_path: Path) -> None:
    prefix = tmp_path / ".meltano" / "loaders" / "target-apollo" / "venv"
    assert installer_of(prefix, "uv") is Installer.MELTANO


def test_pipx_and_uv_tool_are_known_by_their_notes(tmp_path: Path) -> None:
    assert installer_of(made(tmp_path / "a", "pipx_metadata.json"), "pip") is Installer.PIPX
    assert installer_of(made(tmp_path / "b", "uv-receipt.toml"), "uv") is Installer.UV_TOOL


def test_uvx_is_known_by_the_cache_that_its_environment_is_in(tmp_path: Path) -> None:
    cache = made(tmp_path / "cache", "CACHEDIR.TAG")
    assert installer_of(made(cache / "archive"), "uv") is Installer.UVX


def test_an_environment_that_uv_made_is_no_cache(tmp_path: Path) -> None:
    assert installer_of(made(tmp_path / "venv", "CACHEDIR.TAG"), "uv") is Installer.UV


def test_pip_is_believed_and_who_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    assert installer_of(tmp_path, "pip\n") is Installer.PIP
    assert installer_of(tmp_path, "debian") is None
    assert installer_of(tmp_path, "") is None


# --- what to do


@pytest.mark.parametrize(
    ("installer", "sentence"),
    [
        (Installer.PIP, "pip install '/src[s3]'"),
        (Installer.UV, "uv pip install '/src[s3]'"),
        (Installer.PIPX, "pipx install --force '/src[postgres,s3]'"),
        (Installer.UV_TOOL, "uv tool install --force '/src[postgres,s3]'"),
        (Installer.UVX, "uvx --from '/src[postgres,s3]' apollo-sync …"),
        (
            Installer.MELTANO,
            "set `pip_url: '/src[postgres,s3]'` in meltano.yml and run `meltano install`",
        ),
    ],
)
def test_each_program_adds_an_extra_and_loses_none(installer: Installer, sentence: str) -> None:
    assert command(installer, Source("/src"), "s3", ["postgres"]) == sentence


def test_a_folder_stays_editable() -> None:
    said = command(Installer.PIP, Source("/src", editable=True), "s3", [])
    assert said == "pip install -e '/src[s3]'"


def test_where_the_source_is_gone_no_command_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "own_source", lambda: None)
    assert how_to_install("s3") == "install target-apollo with its extra 's3'"


# --- the extras


def test_every_extra_of_the_package_for_users_is_known() -> None:
    told = metadata("target-apollo").get_all("Provides-Extra") or []
    assert set(EXTRAS) == {*told} - {"dev", "docs"}


def test_an_extra_counts_as_there_once_all_its_packages_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "sandbox" in extras_installed()
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert "sandbox" not in extras_installed()


def test_importing_the_module_does_not_wait_for_what_few_runs_need() -> None:
    script = (
        "import sys; before = set(sys.modules); import target_apollo.system.installation; "
        "print('importlib.metadata' in set(sys.modules) - before)"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert re.fullmatch(r"False\n", said.stdout)
