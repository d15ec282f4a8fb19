"""`apollo-sync check` says nothing of tables that a run takes, by the catalogs of others' taps."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from target_apollo.sandbox import SandboxOptions
from tests.helpers.checking import Team, faults, said
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.taps import Tap, select
from tests.promises.taps.test_postgres import (  # noqa: F401 - fixtures
    kind,
    server,
    tables,
    tap,
)
from tests.promises.taps.warehouse import SETTINGS, STREAMS, prepare

pytestmark = pytest.mark.full


def test_a_catalog_of_right_tables_raises_no_alarm(
    tap: Tap,  # noqa: F811
    tmp_path: Path,
) -> None:
    assert tap.catalog is not None
    by_table = {one: {"replication-method": "FULL_TABLE"} for one in STREAMS}
    catalog = select(deepcopy(tap.catalog), by_table)
    with new_sandbox(SandboxOptions(strict=True)) as sandbox:
        prepare(sandbox)
        found = Team(sandbox, tmp_path).check(catalog=catalog, **SETTINGS)

    assert said(found) == ""
    assert {one.name for one in found.streams} == {*STREAMS}
    assert {one.name: one.key for one in found.streams}["crm-branch_contacts"] == (
        "region",
        "number",
    )


def test_a_catalog_with_a_misspelled_entry_raises_one(
    tap: Tap,  # noqa: F811
    tmp_path: Path,
) -> None:
    assert tap.catalog is not None
    catalog = select(deepcopy(tap.catalog), {"crm-user": {"replication-method": "FULL_TABLE"}})
    with new_sandbox(SandboxOptions(strict=True)) as sandbox:
        found = Team(sandbox, tmp_path).check(
            catalog=catalog, streams={"crm-usr": {"object": "contacts"}}
        )
    assert "Stream 'crm-user' fits neither" in faults(found)[0]
    assert "(did you mean 'crm-user'?)" in said(found)
