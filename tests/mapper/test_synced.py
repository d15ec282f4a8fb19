"""The rule not_synced against a real ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place, source_key
from target_apollo.mapper.errors import SettingsError
from tests.helpers.leads import NOW, RULES, Message, config, keys, pipeline, process, record, schema

SYNCED = NOW - timedelta(days=1)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def sync(
    url: str,
    *values: object,
    stream: str = "accounts",
    when: datetime = SYNCED,
    source: str = "",
) -> None:
    with Ledger.open(url) as ledger:
        ledger.begin_run("run", "team", [stream], "upsert", when)
        ledger.lock("team", stream, "run")
        outcomes = [
            LinkOutcome(source_key([value]), LinkStatus.CREATED, f"{at:024x}", "hash")
            for at, value in enumerate(values)
        ]
        ledger.record_outcomes(Place("team", "account", stream, source), "run", outcomes)


def passed(url: str, *rows: Message, **options: object) -> list[object]:
    rules = {**RULES, "not_synced": {"ledger_url": url, **options}}
    mapper = pipeline(config(rules, output_stream="accounts"))
    return keys(process(mapper, schema(), *rows))


def row(key: object, updated_at: datetime | None) -> Message:
    return record(id=key, updated_at=updated_at and updated_at.isoformat())


def test_a_lead_that_was_synced_and_has_not_changed_since_does_not_pass(url: str) -> None:
    sync(url, 1, "k")
    before = SYNCED - timedelta(hours=1)
    assert passed(url, row(1, before), row(2, before), row("k", before)) == [2]


def test_a_lead_without_a_key_was_never_synced(url: str) -> None:
    sync(url, "", " ", None)
    before = SYNCED - timedelta(hours=1)
    assert passed(url, row("", before), row(" ", before), row(None, before)) == ["", " ", None]


def test_true_and_1_are_two_leads(url: str) -> None:
    sync(url, True)
    before = SYNCED - timedelta(hours=1)
    assert passed(url, row(1, before)) == [1]


def test_a_synced_lead_that_changed_since_passes(url: str) -> None:
    sync(url, 1)
    assert passed(url, row(1, SYNCED + timedelta(hours=1))) == [1]


def test_a_lead_that_changed_while_the_run_was_starting_passes(url: str) -> None:
    sync(url, 1)
    assert passed(url, row(1, SYNCED - timedelta(minutes=1))) == [1]


def test_a_synced_lead_that_was_never_modified_does_not_pass(url: str) -> None:
    sync(url, 1)
    assert passed(url, row(1, None)) == []


def test_the_ledger_is_asked_under_the_output_stream_s_name(url: str) -> None:
    sync(url, 1, stream="leads")
    assert passed(url, row(1, SYNCED - timedelta(hours=1))) == [1]


def test_one_connection_can_be_asked_for(url: str) -> None:
    sync(url, 1)
    before = SYNCED - timedelta(hours=1)
    assert passed(url, row(1, before), connection="team") == []
    assert passed(url, row(1, before), connection="another") == [1]


def test_many_leads_in_one_set_are_all_looked_up(url: str) -> None:
    sync(url, *range(0, 3000, 2))
    rows = [row(key, SYNCED - timedelta(hours=1)) for key in range(3000)]
    assert passed(url, *rows) == list(range(1, 3000, 2))


def test_a_stream_without_key_properties_is_refused(url: str) -> None:
    mapper = pipeline(config({**RULES, "not_synced": {"ledger_url": url}}))
    with pytest.raises(SettingsError, match="its SCHEMA names no key properties"):
        process(mapper, schema(key_properties=[]))


def test_a_ledger_that_can_not_be_opened_is_said_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)
    with pytest.raises(SettingsError, match=r"^Setting rules\.not_synced\.ledger_url: "):
        passed(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_the_ledger_is_the_target_s_where_its_environment_names_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(url, 1)
    monkeypatch.setenv("TARGET_APOLLO_LEDGER_URL", url)
    mapper = pipeline(config({**RULES, "not_synced": True}, output_stream="accounts"))
    rows = [row(key, SYNCED - timedelta(hours=1)) for key in (1, 2)]
    assert keys(process(mapper, schema(), *rows)) == [2]


def test_a_lead_of_another_source_is_another_lead(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(url, 1, source="tap-crm")
    sync(url, 2, source="tap-shop")
    before = SYNCED - timedelta(hours=1)
    assert passed(url, row(1, before), row(2, before), source="tap-crm") == [2]
    assert passed(url, row(1, before), row(2, before)) == [1, 2]

    monkeypatch.setenv("MELTANO_EXTRACTOR_NAME", "tap-shop")
    assert passed(url, row(1, before), row(2, before)) == [1]

    monkeypatch.setenv("TARGET_APOLLO_SOURCE", "tap-crm")
    assert passed(url, row(1, before), row(2, before)) == [2]


def test_a_link_from_before_there_were_sources_holds_no_lead_of_a_source_back(url: str) -> None:
    # It may be another source's; the target finds the row unchanged and sends nothing.
    sync(url, 1)
    assert passed(url, row(1, SYNCED - timedelta(hours=1)), source="tap-crm") == [1]


def test_without_a_ledger_no_lead_is_known() -> None:
    assert passed("", row(1, SYNCED)) == [1]
