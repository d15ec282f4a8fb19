"""The README says what is true."""

from __future__ import annotations

import re
from pathlib import Path

from docs.tools.settings_table import with_table
from target_apollo.model.outcomes import Reason

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_table_is_that_of_the_schema() -> None:
    assert with_table(README) == README, "run: python -m docs.tools.settings_table"


def test_every_reason_for_a_reject_is_explained() -> None:
    assert [reason.value for reason in Reason if f"`{reason.value}`" not in README] == []


def test_every_test_that_holds_a_promise_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", README)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
