"""`apollo-sync project`: a sync from PostgreSQL, for the `meltano.yml` of a new project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from target_apollo.cli import main
from target_apollo.config.schema import SCHEMA
from target_apollo.config.validation import problems_of


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("meltano.yml").write_text("default_environment: dev\nenvironments:\n- name: dev\n")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], ...]:
    """The tap and the loader of the project, after what is printed went to its end."""
    assert main(["project", *words, "--pip-url", "./target-apollo"]) == 0
    text = Path("meltano.yml").read_text() + capsys.readouterr().out
    project = yaml.safe_load(text)
    assert project["default_environment"] == "dev"
    (tap,), (loader,) = (project["plugins"][kind] for kind in ("extractors", "loaders"))
    return tap, loader


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["project", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_the_tap_reads_the_table_and_the_target_knows_what_its_rows_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tap, loader = printed(capsys, "sales.people=contacts")
    assert tap["config"] == {"filter_schemas": ["sales"]}
    assert tap["select"] == ["sales-people.*"]
    assert "metadata" not in tap
    assert loader["config"] == {"streams": {"sales-people": {"object": "contacts"}}}


def test_a_table_without_a_schema_is_in_public(capsys: pytest.CaptureFixture[str]) -> None:
    tap, _ = printed(capsys, "people=contacts")
    assert tap["config"] == {"filter_schemas": ["public"]}
    assert tap["select"] == ["public-people.*"]


def test_tables_are_read_in_the_order_in_which_they_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tap, _ = printed(capsys, "s.firms=accounts", "s.people=contacts")
    assert tap["select"] == ["s-firms.*", "s-people.*"]


def test_a_column_goes_to_its_field_and_to_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    _, loader = printed(capsys, "s.people=contacts", "--column", "mail=email")
    assert loader["config"]["stream_maps"] == {"s-people": {"email": "mail", "mail": "__NULL__"}}


def test_two_columns_may_change_places(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--column", "city=title", "--column", "title=city")
    _, loader = printed(capsys, "s.people=contacts", *words)
    assert loader["config"]["stream_maps"]["s-people"] == {"title": "city", "city": "title"}


@pytest.mark.parametrize("table", ["people", "s.people"])
def test_of_several_tables_a_column_names_its_own(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    column = ("--column", f"{table}.mail=email")
    _, loader = printed(capsys, "s.firms=accounts", "s.people=contacts", *column)
    assert [*loader["config"]["stream_maps"]] == ["s-people"]


def test_a_run_reads_what_changed_where_a_column_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tap, _ = printed(capsys, "s.people=contacts", "--updated-at", "seen_at")
    assert tap["metadata"] == {
        "s-people": {"replication-method": "INCREMENTAL", "replication-key": "seen_at"}
    }


def test_the_target_has_all_its_settings_and_takes_those_that_are_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, loader = printed(capsys, "s.people=contacts", "--column", "mail=email")
    assert SCHEMA["properties"].keys() <= {setting["name"] for setting in loader["settings"]}
    # Stream maps are the SDK's, which the real Meltano of tests/docs/test_own_rows.py tries.
    del loader["config"]["stream_maps"]
    assert problems_of({"api_key": "a", **loader["config"]}, SCHEMA) == []
    assert loader["commands"]["check"] == {"executable": "apollo-sync", "args": "check"}
    assert loader["pip_url"] == "./target-apollo"


def test_no_secret_and_no_host_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    tap, loader = printed(capsys, "s.people=contacts")
    secret = [one["name"] for one in tap["settings"] if one.get("sensitive")]
    assert secret == ["sqlalchemy_url"]
    assert not {*tap["config"], *loader["config"]} & {"sqlalchemy_url", "api_key", "api_url"}


def test_a_project_with_plugins_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("meltano.yml").open("a") as project:
        project.write("plugins:\n  extractors: []\n")
    assert "has plugins already" in refused(capsys, "s.people=contacts")


@pytest.mark.parametrize("table", ["people", "people=persons", "a.b.people=contacts", "a b=deals"])
def test_a_table_that_is_not_understood_is_refused(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "does not say what its rows are" in refused(capsys, table)


@pytest.mark.parametrize("column", ["mail=email", "other.mail=email"])
def test_a_column_that_may_be_of_several_tables_is_refused(
    column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "s.firms=accounts", "s.people=contacts", "--column", column)
    assert "does not say of which table" in said


def test_a_column_without_a_field_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "COLUMN=FIELD" in refused(capsys, "s.people=contacts", "--column", "mail")
