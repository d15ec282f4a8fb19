"""Every page says to install the package from where `pyproject.toml` says that it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.tools.install_lines import install_lines, is_agreed, pages, renewed
from docs.tools.package_settings import FILE, Installing, installing

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in pages(ROOT)}
SETTINGS = [
    ".",
    "dist/target_apollo-0.1.0-py3-none-any.whl",
    "target-apollo",
    "git+https://code.example/target-apollo.git",
    "/opt/target-apollo",
]

PAGE = """
`pipx install .`, or `pipx install --force '.[postgres,sandbox]'`
`uvx --from '.[sandbox]' apollo-sync`
    uv tool install ./target-apollo && pip install 'meltano[postgres]'
    pip_url: ../target-apollo[postgres]
    pip_url: meltanolabs-tap-postgres~=0.10.0
    .venv/bin/python -m pip install ../target-apollo
"""
FROM_AN_INDEX = """
`pipx install target-apollo`, or `pipx install --force 'target-apollo[postgres,sandbox]'`
`uvx --from 'target-apollo[sandbox]' apollo-sync`
    uv tool install target-apollo && pip install 'meltano[postgres]'
    pip_url: target-apollo[postgres]
    pip_url: meltanolabs-tap-postgres~=0.10.0
    .venv/bin/python -m pip install target-apollo
"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_installs_the_package_from_where_it_is(name: str) -> None:
    page = PAGES[name].read_text(encoding="utf-8")
    now = installing()
    stale = [line.text for line in install_lines(page) if not is_agreed(line, now)]
    assert stale == [], "run: python -m docs.tools.install_lines"


def test_there_are_pages_that_say_how_to_install_it() -> None:
    said = [line for path in PAGES.values() for line in install_lines(path.read_text("utf-8"))]
    assert any(line.is_for_meltano for line in said)
    assert any(not line.is_for_meltano for line in said)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_page_that_was_renewed_agrees_and_stays_as_it_is(setting: str) -> None:
    now = Installing.of(setting)
    page = renewed(PAGE, now)
    assert len(list(install_lines(page))) == 6
    assert all(is_agreed(line, now) for line in install_lines(page))
    assert renewed(page, now) == page


def test_another_source_changes_what_is_installed_and_nothing_else() -> None:
    assert renewed(PAGE, Installing.of("target-apollo")) == FROM_AN_INDEX


def test_packages_of_others_are_left_alone() -> None:
    page = "pip install 'meltano[s3]', pip install dagster dagster-postgres, pip_url: -e ."
    assert list(install_lines(page)) == []
    assert renewed(page, Installing.of("target-apollo")) == page


def test_a_name_that_no_index_knows_is_not_agreed_to_while_a_folder_is_set() -> None:
    (line,) = install_lines("pip install 'target-apollo[sandbox]'")
    assert not is_agreed(line, Installing.of("."))


def test_a_folder_is_named_as_its_reader_sees_it() -> None:
    folder = Installing.of(".")
    seen = [source.address for source in (folder.here, folder.around, folder.beside)]
    assert seen == [".", "./target-apollo", "../target-apollo"]


def test_the_setting_is_in_one_place() -> None:
    assert (ROOT / FILE).read_text(encoding="utf-8").count("install-from =") == 1
