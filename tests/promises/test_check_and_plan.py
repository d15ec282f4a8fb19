"""`apollo-sync check` and a plan say the same of the same settings and columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.checking import Team, faults, row, said, stream, warnings
from tests.promises.conftest import TargetRun

Sync = Callable[..., TargetRun]

COLUMNS = ("id", "email", "title")
ONE = {"id": "1", "email": "ada@example.com"}


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        (COLUMNS, {"field_policy": {"titel": "never"}}),
        (COLUMNS, {"match_on": ["custom:Nowhere"]}),
        (("id", "email", "First Name", "firstName"), {}),
        (("id", "mail"), {}),
        ((*COLUMNS, "shoe"), {"unknown_fields": "fail"}),
        (COLUMNS, {"custom_fields": {"title": "Nowhere"}, "unknown_fields": "fail"}),
        (COLUMNS, {"field_policy": {"title": "newest"}}),
        (COLUMNS, {"streams": {"crm-contacts": {"mode": "mirror"}}}),
    ],
)
def test_what_ends_a_plan_is_a_fault_of_the_check(
    apollo: Sandbox,
    sync: Sync,
    tmp_path: Path,
    columns: tuple[str, ...],
    settings: dict[str, Any],
) -> None:
    apollo.store.add_custom_field("contact", "Tier", "string")
    known = {name: ONE.get(name, "x") for name in columns}
    messages = [stream("crm-contacts", *columns), row("crm-contacts", **known)]

    planned = sync(messages, dry_run=True, **settings)
    found = faults(Team(apollo, tmp_path).check(*messages, **settings))

    assert planned.exit_code == 2
    assert any(one in planned.log for one in found), found


def test_what_a_plan_warns_of_is_a_warning_of_the_check(
    apollo: Sandbox, sync: Sync, tmp_path: Path
) -> None:
    apollo.store.add_custom_field("contact", "Tier", "string")
    settings = {
        "custom_fields": {"tir": "Teir"},
        "streams": {"crm-*": {}, "crm-contacts": {"mode": "insert"}, "other": {}},
        "unresolved": {"owner_emial": "drop"},
    }
    messages = [stream("crm-contacts", *COLUMNS, "shoe"), row("crm-contacts", **ONE)]

    planned = sync(messages, dry_run=True, **settings)
    found = Team(apollo, tmp_path).check(*messages, **settings)

    assert planned.exit_code == 0
    assert faults(found) == []
    assert len(warnings(found)) == 5
    assert [one for one in warnings(found) if one not in planned.log] == []


def test_the_check_says_nothing_of_what_a_plan_says_nothing(
    apollo: Sandbox, sync: Sync, tmp_path: Path
) -> None:
    messages = [stream("crm-contacts", *COLUMNS), row("crm-contacts", **ONE)]

    planned = sync(messages, dry_run=True)

    assert planned.exit_code == 0
    assert "WARNING" not in planned.log
    assert said(Team(apollo, tmp_path).check(*messages)) == ""
