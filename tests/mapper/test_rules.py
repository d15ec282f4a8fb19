"""Each rule alone, with values as they occur in warehouses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.rules import RULES, Check, NotYet, StreamFacts
from target_apollo.mapper.settings import read_settings
from target_apollo.model.outcomes import RecordError
from target_apollo.model.texts.emails import email
from target_apollo.model.times import moment
from tests.helpers.leads import APOLLO_USER, FACTS, GOOD, NOW, STAGES, lead

NEEDED = {
    "stage": {"order": STAGES, "minimum": "Interested"},
    "owner_mapped": {"map": {"7": APOLLO_USER}},
    "stage_selected": {"allow": ["Qualified"]},
    "not_synced": {"ledger_url": "sqlite:////nonexistent/ledger.db"},
}


def check(rule: str, facts: StreamFacts = FACTS, **options: Any) -> Check:
    switched_off: dict[str, Any] = dict.fromkeys(RULES, False)
    switched_off[rule] = options or NEEDED.get(rule, True)
    (only,) = read_settings({"rules": switched_off}).rules
    return only.check(facts)


def test_company_only_lets_companies_pass_in_any_case() -> None:
    company_only = check("company_only")
    assert company_only(lead(record_type="company")) is None
    assert company_only(lead(record_type=" Company ")) is None
    assert company_only(lead(record_type="person")) == "kind of lead is 'person'; allowed: company"
    assert company_only(lead(record_type=None)) == "kind of lead is empty; allowed: company"


@pytest.mark.parametrize("value", [False, 0, "no", "NO ", "false", "0", "", None, Decimal(0)])
def test_not_customer_passes_for_each_way_to_say_no(value: object) -> None:
    assert check("not_customer")(lead(is_customer=value)) is None


@pytest.mark.parametrize("value", [True, 1, "yes", "True", "1", Decimal(1)])
def test_not_customer_fails_for_each_way_to_say_yes(value: object) -> None:
    assert check("not_customer")(lead(is_customer=value)) == "is already a customer"


@pytest.mark.parametrize("value", ["maybe", 2, [], {}])
def test_not_customer_fails_for_a_value_that_is_neither(value: object) -> None:
    reason = check("not_customer")(lead(is_customer=value))
    assert reason is not None
    assert reason.endswith("not yes or no")


def test_icp_fit_lets_moderate_and_strong_pass() -> None:
    icp_fit = check("icp_fit")
    assert icp_fit(lead(icp_fit="moderate")) is None
    assert icp_fit(lead(icp_fit="Strong")) is None
    assert icp_fit(lead(icp_fit="weak")) == "ICP fit is 'weak'; allowed: moderate, strong"


def test_stage_passes_at_the_minimum_and_above() -> None:
    stage = check("stage")
    assert stage(lead(stage="interested")) is None
    assert stage(lead(stage="Qualified")) is None
    assert stage(lead(stage="Cold")) == "the stage 'Cold' is below 'Interested'"


def test_stage_fails_for_a_stage_that_is_not_in_the_order() -> None:
    stage = check("stage")
    assert stage(lead(stage="Lost")) == "the stage 'Lost' is not in the order"
    assert stage(lead(stage=None)) == "has no stage"
    assert stage(lead(stage="  ")) == "has no stage"


def test_not_quarantined_lets_active_leads_pass() -> None:
    not_quarantined = check("not_quarantined")
    assert not_quarantined(lead(quarantine_status="active")) is None
    assert not_quarantined(lead(quarantine_status="quarantined")) is not None
    assert not_quarantined(lead(quarantine_status=None)) is not None


@pytest.mark.parametrize(
    "domain",
    ["acme.de", "ACME.co.uk", " https://www.acme.com:8080/x?y ", "müller.de", "acme.github.io"],
)
def test_valid_company_takes_every_registrable_domain(domain: str) -> None:
    assert check("valid_company")(lead(domain=domain)) is None


@pytest.mark.parametrize(
    ("domain", "why"),
    [
        (None, "has no domain"),
        ("  ", "has no domain"),
        ("no domain", "'no domain' is not a domain"),
        ("localhost", "'localhost' is not a domain"),
        ("10.0.0.1", "'10.0.0.1' is not a domain"),
        ("co.uk", "nobody can register the domain 'co.uk'"),
        ("www.co.uk", "nobody can register the domain 'www.co.uk'"),
        ("acme.con", "nobody can register the domain 'acme.con'"),
        ("gmail.com", "'gmail.com' is a free-mail provider"),
        ("mail.yahoo.co.uk", "'yahoo.co.uk' is a free-mail provider"),
        (42, "the domain is a number, not text"),
    ],
)
def test_valid_company_says_what_is_wrong_with_a_domain(domain: object, why: str) -> None:
    assert check("valid_company")(lead(domain=domain)) == why


@pytest.mark.parametrize(
    ("domain", "listed"),
    [
        ("https://www.facebook.com/corner.cafe", "facebook.com"),
        ("linkedin.com/company/acme", "linkedin.com"),
        ("https://instagram.com/acme", "instagram.com"),
        ("https://x.com/acme", "x.com"),
        ("https://twitter.com/acme", "twitter.com"),
        ("https://www.youtube.com/@acme", "youtube.com"),
        ("https://www.tiktok.com/@acme", "tiktok.com"),
        ("https://www.xing.com/pages/acme", "xing.com"),
        ("https://www.crunchbase.com/organization/acme", "crunchbase.com"),
        ("https://www.yelp.de/biz/acme", "yelp.*"),
        ("https://www.tripadvisor.com/Restaurant", "tripadvisor.*"),
        ("https://www.google.com/maps/place/Acme", "google.*"),
        ("https://acme.sites.google.com", "sites.google.com"),
        ("https://g.page/acme", "g.page"),
        ("https://medium.com/@acme", "medium.com"),
        ("https://github.com/acme", "github.com"),
        ("https://gitlab.com/acme", "gitlab.com"),
        ("https://apps.apple.com/app/acme", "apps.apple.com"),
        ("https://www.amazon.co.uk/stores/acme", "amazon.*"),
        ("https://www.ebay.com/str/acme", "ebay.*"),
        ("https://www.etsy.com/shop/acme", "etsy.com"),
        ("https://linktr.ee/acme", "linktr.ee"),
        ("https://bit.ly/acme", "bit.ly"),
        ("https://wa.me/4915112345678", "wa.me"),
        ("https://www.dropbox.com/s/acme", "dropbox.com"),
    ],
)
def test_valid_company_takes_no_page_on_a_host_that_many_companies_share(
    domain: str, listed: str
) -> None:
    why = check("valid_company")(lead(domain=domain))
    assert why is not None
    assert why.startswith(f"'{listed}' is shared by many companies (")


@pytest.mark.parametrize("domain", ["acme.myshopify.com", "acme.wixsite.com", "acme.medium.com"])
def test_valid_company_takes_a_company_s_own_host_under_a_shared_one(domain: str) -> None:
    assert check("valid_company")(lead(domain=domain)) is None


def test_valid_company_takes_a_shared_host_where_the_setting_allows_it() -> None:
    valid_company = check("valid_company", allow_domains=["https://www.Facebook.com/"])
    assert valid_company(lead(domain="facebook.com")) is None
    assert valid_company(lead(domain="m.facebook.com")) is not None


def test_valid_company_wants_a_name() -> None:
    valid_company = check("valid_company")
    assert valid_company(lead(name=" \t ")) == "has no name"
    assert valid_company(lead(name=None)) == "has no name"
    assert valid_company(lead(name=["Acme"])) == "the name is a list, not text"


def test_valid_company_takes_a_listed_domain_where_the_setting_allows_it() -> None:
    assert check("valid_company", allow_domains=["Mail.com"])(lead(domain="mail.com")) is None


@pytest.mark.parametrize("user", [7, "7", " 7 ", Decimal("7.0"), 7.0])
def test_owner_mapped_knows_a_user_however_the_tap_writes_the_id(user: object) -> None:
    assert check("owner_mapped")(lead(user_id=user)) is None


def test_owner_mapped_tells_no_user_from_a_user_without_apollo_user() -> None:
    owner_mapped = check("owner_mapped")
    assert owner_mapped(lead(user_id=None)) == "no user is assigned"
    assert owner_mapped(lead(user_id=8)) == "user 8 has no Apollo user in the mapping"
    assert owner_mapped(lead(user_id=True)) == "the user is true, not an id"
    assert owner_mapped(lead(user_id=[7])) == "the user is a list, not an id"


def test_owner_mapped_can_hold_unmapped_users_but_drops_leads_without_user() -> None:
    owner_mapped = check("owner_mapped", map={"7": APOLLO_USER}, hold_unmapped=True)
    assert isinstance(owner_mapped(lead(user_id=8)), NotYet)
    assert owner_mapped(lead(user_id=None)) is not None
    assert not isinstance(owner_mapped(lead(user_id=None)), NotYet)


def test_owner_mapped_without_a_mapping_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"^Setting rules\.owner_mapped: needs `map`"):
        check("owner_mapped", field="user_id")


def test_settled_holds_a_lead_that_was_modified_in_the_last_minutes() -> None:
    settled = check("settled")
    just_now = (NOW - timedelta(minutes=4, seconds=59)).isoformat()
    assert isinstance(settled(lead(updated_at=just_now)), NotYet)
    assert settled(lead(updated_at=(NOW - timedelta(minutes=5)).isoformat())) is None


def test_settled_takes_a_time_without_offset_for_utc() -> None:
    settled = check("settled", minutes=60)
    assert settled(lead(updated_at="2026-11-20 10:59:59")) is None
    assert isinstance(settled(lead(updated_at="2026-11-20 11:00:01")), NotYet)
    assert settled(lead(updated_at="2026-11-20T12:30:00+02:00")) is None


@pytest.mark.parametrize(
    "written", ["2026-01-01 12:00:00 UTC", "2026-01-01 12:00:00+00", "2026-01-01T12:00:00z"]
)
def test_settled_reads_every_time_that_the_target_reads(written: str) -> None:
    assert moment(written) is not None
    assert check("settled")(lead(updated_at=written)) is None


def test_a_stage_is_written_as_the_target_takes_it() -> None:
    stage = check("stage", order=["New", "Sales Qualified"], minimum="Sales Qualified")
    assert stage(lead(stage="sales-qualified")) is None
    assert stage(lead(stage="SALES_QUALIFIED ")) is None


def test_a_stage_to_select_is_written_as_the_target_takes_it() -> None:
    selected = check("stage_selected", allow=["Sales Qualified"])
    assert selected(lead(stage="sales-qualified")) is None


def test_only_names_of_stages_are_compared_with_hyphens_and_underscores_aside() -> None:
    assert check("not_test_record")(lead(name="test-account")) is None
    assert check("not_test_record")(lead(name="Foo-Bar")) is None
    assert check("company_only", allow=["sole trader"])(lead(record_type="sole_trader")) is not None
    assert check("not_quarantined", allow=["on hold"])(lead(quarantine_status="on-hold"))


@given(st.emails())
def test_an_address_that_passes_is_one_that_the_target_takes(address: str) -> None:
    if check("valid_email")({"email": address}) is None:
        assert email("email", address) == address.strip().lower()


def test_settled_passes_a_lead_that_was_never_modified() -> None:
    assert check("settled")(lead(updated_at=None)) is None


def test_settled_drops_a_lead_whose_time_can_not_be_read() -> None:
    reason = check("settled")(lead(updated_at="yesterday"))
    assert reason == "the time of the last change is 'yesterday', not a date or timestamp"
    assert not isinstance(reason, NotYet)


def test_valid_email_takes_addresses_by_their_syntax() -> None:
    valid_email = check("valid_email")
    assert valid_email({"email": "zoe.o'neil+crm@acme.co.uk"}) is None
    assert valid_email({"email": "zoe@acme"}) == "'zoe@acme' is not a valid e-mail address"
    assert valid_email({"email": "zoe..x@acme.de"}) is not None
    assert valid_email({"email": ""}) == "has no e-mail address"


@pytest.mark.parametrize(
    "written",
    [
        "mailto:zoe@acme.test",
        "Zoe <zoe@müller.example>",
        "\ufeffzoe@acme.de\u200b",
        "zoe@acme.de; zoe@@acme.de",
        ["zoe@acme.de", "crm@acme.de"],
    ],
)
def test_valid_email_and_the_target_read_the_same_notations(written: object) -> None:
    assert check("valid_email")({"email": written}) is None
    assert email("email", written) is not None


@pytest.mark.parametrize("written", ["unknown", "zoe@acme.local", "zoë@acme.de", "unknown@", True])
def test_valid_email_and_the_target_refuse_the_same_values(written: object) -> None:
    assert check("valid_email")({"email": written}) is not None
    with pytest.raises(RecordError):
        email("email", written)


def test_not_test_record_finds_the_domain_of_an_address_beside_a_name() -> None:
    own = check("not_test_record", own_domains=["acme.de"], email="email")
    assert own(lead(domain="b.de", email="Ann <a@acme.de>")) == "'acme.de' is your own domain"


@pytest.mark.parametrize(
    "changed",
    [{"name": "Test"}, {"name": " ASDF "}, {"domain": "example.com"}, {"domain": "x.test"}],
)
def test_not_test_record_drops_test_names_and_domains(changed: dict[str, object]) -> None:
    assert check("not_test_record")(lead(**changed)) is not None


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad", "\u2066"])
def test_what_nobody_sees_neither_hides_a_test_name_nor_is_a_name(unseen: str) -> None:
    assert check("not_test_record")(lead(name=f"Te{unseen}st{unseen}")) is not None
    assert check("valid_company")(lead(name=f" {unseen}")) == "has no name"


def test_not_test_record_drops_records_of_your_own_company() -> None:
    own = check("not_test_record", own_domains=["acme.de"], email="email")
    assert own(lead(domain="https://shop.acme.de")) == "'shop.acme.de' is your own domain"
    assert own(lead(domain="b.de", email="a@acme.de")) == "'acme.de' is your own domain"
    assert own(lead(domain="notacme.de", email=None)) is None


def test_not_test_record_lets_names_pass_that_only_contain_the_word() -> None:
    assert check("not_test_record")(lead(name="Test & Measurement Ltd")) is None


def test_active_since_counts_calendar_months() -> None:
    active_since = check("active_since", months=9)
    assert active_since({"last_activity_at": "2026-02-20T12:00:00Z"}) is None
    assert active_since({"last_activity_at": "2026-02-20T11:59:59Z"}) is not None
    assert active_since({"last_activity_at": None}) == "no activity is known"


def test_stage_selected_has_no_stage_as_a_choice_of_its_own() -> None:
    without = check("stage_selected", allow=["Cold"])
    including = check("stage_selected", allow=["Cold", "No stage"])
    assert without(lead(stage="cold")) is including(lead(stage="cold")) is None
    for blank in (None, "", "  "):
        assert without(lead(stage=blank)) is not None
        assert including(lead(stage=blank)) is None
    assert including(lead(stage="Lost")) is not None


def test_unique_lets_the_first_row_of_a_key_pass() -> None:
    unique = check("unique")
    assert [unique(lead(id=key)) is None for key in (1, 2, 1, "1", 2)] == [
        *(True, True, False, True, False)
    ]


def test_unique_can_tell_rows_apart_by_other_properties() -> None:
    unique = check("unique", by=["domain"])
    assert unique(lead(id=1, domain="a.de")) is None
    assert unique(lead(id=2, domain="a.de ")) == "an earlier row of this run has the same key"


@pytest.mark.parametrize("key", [None, "", " ", "\u200b"])
def test_unique_takes_no_two_rows_without_a_key_for_one(key: str | None) -> None:
    unique = check("unique")
    assert [unique(lead(id=key)) for _ in range(2)] == [None, None]


def test_unique_without_any_key_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"Set rules\.unique\.by"):
        check("unique", StreamFacts("leads", "leads", (), FACTS.clock))


def test_not_synced_lets_every_lead_pass_while_there_is_no_ledger(tmp_path: Path) -> None:
    not_synced = check("not_synced", ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}")
    assert not_synced(GOOD) is None
    assert not (tmp_path / "ledger.db").exists()


any_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def rules_and_fields() -> list[tuple[Check, tuple[str, ...]]]:
    found = []
    for name in sorted(set(RULES) - {"unique"}):
        chosen = {**dict.fromkeys(RULES, False), name: NEEDED.get(name, True)}
        (options,) = read_settings({"rules": chosen}).rules
        found.append((check(name), tuple(options.fields())))
    return found


@given(values=st.lists(any_value, min_size=3, max_size=3))
def test_no_value_of_whatever_type_makes_a_rule_raise(
    rules_and_fields: list[tuple[Check, tuple[str, ...]]], values: list[object]
) -> None:
    for rule, fields in rules_and_fields:
        reason = rule({**GOOD, **dict(zip(fields, values, strict=False))})
        assert reason is None or reason.strip(), fields


@pytest.mark.parametrize("written", ["off", "N/A", "\\N", "none", "-", "No"])
def test_a_word_for_no_or_for_nothing_marks_no_customer(written: str) -> None:
    assert check("not_customer")(lead(is_customer=written)) is None


def test_on_marks_a_customer() -> None:
    assert check("not_customer")(lead(is_customer="on")) == "is already a customer"


@pytest.mark.parametrize("written", ["N/A", "0000-00-00 00:00:00", "NaT"])
def test_a_placeholder_is_no_time_of_the_last_activity(written: str) -> None:
    assert check("active_since")({"last_activity_at": written}) == "no activity is known"


@pytest.mark.parametrize(
    "written", [946684800, "1000000000", 1000000000000, "2001-09-09 01:46:40 +0000"]
)
def test_the_last_activity_may_be_seconds_or_milliseconds(written: object) -> None:
    told = check("active_since")({"last_activity_at": written})
    assert told is not None
    assert ("no activity in the last" in told) is (written != 946684800)
