"""Rules that treat leads which the target's ledger knows otherwise than new ones."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place, source_key
from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.explain import explain
from target_apollo.mapper.settings import read_settings
from tests.helpers.leads import (
    APOLLO_USER,
    BARE_RULES,
    NOW,
    Message,
    config,
    encode,
    keys,
    pipeline,
    process,
    record,
    schema,
)

#: A key of each kind that a ledger can have, and whether its lead has a record.
CREATED, REFUSED, NEVER_MADE, DELETED_IN_APOLLO, UNKNOWN = 1, 2, 3, 4, 5


def apollo_id(key: object) -> str:
    return f"{key:024x}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with a link of each kind."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    url = f"sqlite:///{path}"
    error, gone = LinkStatus.ERROR, LinkStatus.GONE
    outcomes = [
        LinkOutcome(source_key([CREATED]), LinkStatus.CREATED, apollo_id(CREATED), "hash"),
        LinkOutcome(source_key([REFUSED]), LinkStatus.CREATED, apollo_id(REFUSED), "hash"),
        LinkOutcome(source_key([NEVER_MADE]), error, error="no"),
        LinkOutcome(source_key([DELETED_IN_APOLLO]), gone, apollo_id(DELETED_IN_APOLLO), "hash"),
    ]
    write(url, outcomes)
    write(url, [LinkOutcome(source_key([REFUSED]), error, apollo_id(REFUSED), error="no")])
    return path


@pytest.fixture
def url(made: Path, tmp_path: Path) -> str:
    """A copy of that ledger."""
    shutil.copy(made, tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def write(url: str, outcomes: list[LinkOutcome], source: str = "", team: str = "team") -> None:
    with Ledger.open(url) as ledger:
        ledger.begin_run("run", team, ["accounts"], "upsert", NOW)
        ledger.lock(team, "accounts", "run")
        ledger.record_outcomes(Place(team, "account", "accounts", source), "run", outcomes)


def leads(*rows: Message, announced: Message | None = None, **rules: Any) -> list[Message]:
    mapper = pipeline(config({**BARE_RULES, **rules}, output_stream="accounts"))
    out = process(mapper, announced or schema("leads", "email", "email_status", "note"), *rows)
    return out[1:]


def at_stage(stage: str | None, *ids: int) -> list[Message]:
    return [record(id=key, stage=stage) for key in ids]


ALL = (CREATED, REFUSED, NEVER_MADE, DELETED_IN_APOLLO, UNKNOWN)

# --- stage_selected with applies_to: new


def chosen(url: str | None, **options: Any) -> dict[str, Any]:
    asked = {"allow": ["Qualified"], "applies_to": "new", "ledger_url": url, **options}
    return {"stage_selected": {name: value for name, value in asked.items() if value is not None}}


def test_leads_with_a_record_pass_at_any_stage_and_the_others_at_the_chosen_ones(url: str) -> None:
    assert keys(leads(*at_stage("Cold", *ALL), **chosen(url))) == [CREATED, REFUSED]
    assert keys(leads(*at_stage(None, *ALL), **chosen(url))) == [CREATED, REFUSED]
    assert keys(leads(*at_stage("Qualified", *ALL), **chosen(url))) == list(ALL)


def test_by_default_the_rule_applies_to_known_leads_too(url: str) -> None:
    rows = at_stage("Cold", CREATED)
    assert keys(leads(*rows, stage_selected={"allow": ["Qualified"]})) == []


def test_the_reason_says_that_the_lead_is_new(url: str, tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    mapper = pipeline(
        config({**BARE_RULES, **chosen(url)}, verdicts_path=str(path), output_stream="accounts")
    )
    process(mapper, schema(), *at_stage("Cold", UNKNOWN))
    assert (
        "stage is 'Cold'; allowed: Qualified (for a lead that is not in Apollo yet) "
        "(rule stage_selected)" in explain(path, str(UNKNOWN))
    )


def test_before_the_first_sync_every_lead_is_new_which_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rules = chosen(f"sqlite:///{tmp_path / 'none.db'}")
    assert keys(leads(*at_stage("Cold", CREATED), **rules)) == []
    assert "The rule stage_selected finds no ledger (setting ledger_url)" in caplog.text
    assert not (tmp_path / "none.db").exists()


def test_a_ledger_that_knows_the_stream_under_other_sources_alone_is_warned_of(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert keys(leads(*at_stage("Cold", CREATED), **chosen(url, source="tap-crm"))) == []
    assert "under the source 'tap-crm', only under others" in caplog.text


def test_a_lead_of_another_source_is_another_lead(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = source_key([UNKNOWN])
    write(url, [LinkOutcome(key, LinkStatus.CREATED, apollo_id(UNKNOWN), "hash")], "tap-crm")
    rows = at_stage("Cold", CREATED, UNKNOWN)
    assert keys(leads(*rows, **chosen(url, source="tap-crm"))) == [UNKNOWN]
    assert not caplog.records


def test_a_lead_of_one_of_two_teams_is_known_where_that_team_is_named(url: str) -> None:
    key = source_key([UNKNOWN])
    outcome = LinkOutcome(key, LinkStatus.CREATED, apollo_id(9), "hash")
    write(url, [outcome], team="other")
    rows = at_stage("Cold", CREATED, UNKNOWN)
    assert keys(leads(*rows, **chosen(url))) == []
    assert keys(leads(*rows, **chosen(url, connection="team"))) == [CREATED]
    assert keys(leads(*rows, **chosen(url, connection="other"))) == [UNKNOWN]


def test_the_ledger_is_that_of_not_synced_unless_the_rule_names_its_own(url: str) -> None:
    not_synced = {"ledger_url": url, "source": "tap-crm", "connection": "team"}
    rules = {**BARE_RULES, "not_synced": not_synced, **chosen(None, source="")}
    *_, rule = read_settings({"rules": rules}).rules
    found = {name: getattr(rule, name) for name in not_synced}
    assert found == {"ledger_url": url, "source": "", "connection": "team"}


def test_without_not_synced_it_is_the_ledger_of_the_target_s_environment(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_APOLLO_LEDGER_URL", url)
    assert keys(leads(*at_stage("Cold", *ALL), **chosen(None))) == [CREATED, REFUSED]


def test_a_stream_without_key_properties_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="The rule stage_selected can't work on stream 'leads'"):
        leads(announced=schema(key_properties=[]), **chosen(url))


def test_a_ledger_that_can_not_be_opened_is_said_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)
    with pytest.raises(SettingsError, match=r"^Setting rules\.stage_selected\.ledger_url: "):
        leads(**chosen(f"sqlite:///{tmp_path / 'ledger.db'}"))


def test_a_known_lead_that_is_not_settled_is_held_like_any_other(url: str) -> None:
    rules = {**chosen(url), "settled": {"minutes": 5}}
    assert leads(record(id=CREATED, stage="Cold", updated_at=NOW.isoformat()), **rules) == []


# --- email_status


def verified(url: str, **options: Any) -> dict[str, Any]:
    return {"email_status": {"ledger_url": url, **options}}


def mailed(*ids: object, status: object = "unverified", **values: object) -> list[Message]:
    own = {"email": "ada@acme.de", "email_status": status, **values}
    return [record(id=key, **own) for key in ids]


@pytest.mark.parametrize("status", ["verified", "Verified", " VERIFIED "])
def test_a_verified_address_goes_as_it_is(url: str, status: str) -> None:
    (lead,) = leads(*mailed(UNKNOWN, status=status), **verified(url))
    assert lead["record"]["email"] == "ada@acme.de"
    assert "apollo_id" not in lead["record"]


@pytest.mark.parametrize("status", ["unverified", "bounced", "", None, True, 5, ["verified"]])
def test_any_other_status_withholds_the_address_and_the_rest_goes_to_the_known_record(
    url: str, status: object
) -> None:
    (lead,) = leads(*mailed(CREATED, status=status, note=1.5), **verified(url))
    assert "email" not in lead["record"]
    assert lead["record"]["apollo_id"] == apollo_id(CREATED)
    assert (lead["record"]["name"], lead["record"]["note"]) == ("Acme GmbH", 1.5)


@pytest.mark.parametrize("address", [None, "", " ", "N/A"])
def test_a_lead_without_an_address_has_none_to_withhold(url: str, address: object) -> None:
    (lead,) = leads(*mailed(UNKNOWN, email=address), **verified(url))
    assert lead["record"]["email"] == address


def test_leads_that_nothing_else_tells_are_dropped_with_a_reason(url: str, tmp_path: Path) -> None:
    assert keys(leads(*mailed(*ALL), **verified(url))) == [CREATED, REFUSED]
    path = tmp_path / "verdicts"
    rules = {**BARE_RULES, **verified(url)}
    mapper = pipeline(config(rules, verdicts_path=str(path)))
    process(mapper, schema("leads", "email", "email_status"), *mailed(UNKNOWN))
    assert (
        "  - the status of the e-mail address is 'unverified'; allowed: verified; without its "
        "address nothing tells which record the lead has (rule email_status)\n"
        in explain(path, str(UNKNOWN))
    )


def test_a_new_lead_goes_by_another_key_and_without_one_not(url: str) -> None:
    rules = verified(url, match_on=["linkedin_url", "apollo_id"])
    announced = schema("leads", "email", "email_status", "linkedin_url", "apollo_id")
    rows = [
        *mailed(10, linkedin_url="http://www.linkedin.com/in/ada"),
        *mailed(11, linkedin_url="N/A", apollo_id=""),
        *mailed(12, apollo_id=apollo_id(7)),
    ]
    out = leads(*rows, announced=announced, **rules)
    assert keys(out) == [10, 12]
    assert out[1]["record"]["apollo_id"] == apollo_id(7)


@pytest.mark.parametrize("spelling", ["apollo_id", "Apollo ID"])
@pytest.mark.parametrize("own", [None, "", apollo_id(7)])
def test_an_apollo_id_of_the_source_counts_more_than_the_ledger_s(
    url: str, spelling: str, own: str | None
) -> None:
    announced = schema("leads", "email", "email_status", spelling)
    row = mailed(CREATED, **{spelling: own})
    (lead,) = leads(*row, announced=announced, **verified(url))
    assert lead["record"][spelling] == (own or apollo_id(CREATED))


def test_no_record_is_named_where_two_teams_have_one_each(url: str) -> None:
    outcome = LinkOutcome(source_key([CREATED]), LinkStatus.CREATED, apollo_id(9), "hash")
    write(url, [outcome], team="other")
    assert leads(*mailed(CREATED), **verified(url)) == []
    (lead,) = leads(*mailed(CREATED), **verified(url, connection="other"))
    assert lead["record"]["apollo_id"] == apollo_id(9)


def test_without_a_ledger_only_other_keys_let_a_lead_pass() -> None:
    assert leads(*mailed(CREATED), **verified("")) == []
    assert keys(leads(*mailed(CREATED), **verified("", match_on=["domain"]))) == [CREATED]


def test_the_schema_has_the_id_and_does_not_require_the_address(url: str) -> None:
    announced = schema("leads", "email", "email_status")
    announced["schema"]["required"] = ["id", "email"]
    mapper = pipeline(config({**BARE_RULES, **verified(url)}))
    (out,) = process(mapper, announced)
    assert out["schema"]["required"] == ["id"]
    assert out["schema"]["properties"]["apollo_id"] == {"type": ["string", "null"]}


def test_the_other_values_of_the_record_keep_their_text_and_the_owner_is_added(url: str) -> None:
    rules = {**verified(url), "owner_mapped": {"map": {"7": APOLLO_USER}}}
    mapper = pipeline(config({**BARE_RULES, **rules}, output_stream="accounts"))
    line = encode(mailed(CREATED)[0]).replace(b'"id": 1', b'"id": 1, "price": 1.10')
    _, out = mapper.process_lines([encode(schema("leads", "email", "email_status")), line])
    assert b'"price":1.10' in out
    lead = json.loads(out)["record"]
    assert (lead["owner_id"], lead["apollo_id"]) == (APOLLO_USER, apollo_id(CREATED))
    assert "email" not in lead


def test_columns_are_found_in_any_spelling(url: str) -> None:
    announced = schema("leads", "E-Mail", "Email Status")
    row = record(id=CREATED, **{"E-Mail": "ada@acme.de", "Email Status": "guessed"})
    (lead,) = leads(row, announced=announced, **verified(url))
    assert "E-Mail" not in lead["record"]


def test_an_address_that_is_the_key_is_not_withheld_but_refused(url: str) -> None:
    announced = schema("leads", "email", "email_status", key_properties=["email"])
    with pytest.raises(SettingsError, match="'email' is one of its key properties"):
        leads(announced=announced, **verified(url))


def test_verdict_explain_and_the_end_of_the_run_tell_of_it(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "verdicts"
    rules = {**BARE_RULES, **verified(url)}
    mapper = pipeline(config(rules, verdicts_path=str(path), output_stream="accounts"))
    process(mapper, schema("leads", "email", "email_status"), *mailed(CREATED))
    mapper.finish()
    line = json.loads(path.read_text())
    why = "the status of the e-mail address is 'unverified'; allowed: verified"
    assert (line["verdict"], line["failing"]) == ("passed", [])
    assert line["withheld"] == [{"rule": "email_status", "reason": why}]
    said = explain(path, str(CREATED))
    assert f"  - went without the e-mail address: {why} (rule email_status)\n" in said
    assert (
        "rule email_status: 0 failed it first, 0 at all; 1 passed without the e-mail address"
        in caplog.text
    )
