"""What a check finds in a tap's catalog or output, and what it lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.cli.check.run_check import CheckInput, RunCheck
from target_apollo.config.settings import SettingsError
from target_apollo.sandbox import Sandbox
from tests.helpers.checking import TEXT, Message, Team, faults, row, said, stream, warnings

PEOPLE = stream("crm-contacts", "id", "email", "title")
DATED = {"type": ["string", "null"], "format": "date-time"}
NUMBER = {"type": ["integer", "null"]}


def entry(message: Message, **about: Any) -> Message:
    """The stream of a SCHEMA message in a catalog, with metadata of the stream."""
    return {
        "tap_stream_id": message["stream"],
        "stream": message["stream"].rpartition("-")[2],
        "schema": message["schema"],
        "key_properties": message["key_properties"],
        "metadata": [{"breadcrumb": [], "metadata": about}],
    }


# --- columns


def test_a_column_that_fits_nothing_is_a_warning_and_one_that_nearly_fits_has_a_hint(
    team: Team,
) -> None:
    found = team.check(stream("crm-contacts", "id", "email", "titel", "shoe"))
    (warning,) = warnings(found)
    assert "has the name of titel (did you mean 'title'?), shoe; they are not sent" in warning
    assert found.streams[0].not_written == ("titel", "shoe")


def test_such_columns_are_faults_where_a_run_would_fail_for_them(team: Team) -> None:
    found = team.check(stream("crm-contacts", "id", "email", "shoe"), unknown_fields="fail")
    assert "The setting unknown_fields is 'fail'" in faults(found)[0]


def test_key_and_bookmark_need_no_field(team: Team) -> None:
    message = {**stream("crm-contacts", "id", "email", at=DATED), "bookmark_properties": ["at"]}
    assert said(team.check(message)) == ""


def test_two_columns_of_one_field_are_a_fault(team: Team) -> None:
    (fault,) = faults(team.check(stream("crm-contacts", "id", "email", "FirstName", "firstname")))
    assert "'FirstName' and 'firstname' of stream 'crm-contacts' would be written to one" in fault


def test_a_stream_without_a_column_to_match_on_is_a_fault_with_the_column_that_may_be_meant(
    team: Team,
) -> None:
    (fault,) = faults(team.check(stream("crm-contacts", "id", "mail", "title")))
    assert "no column by which Apollo recognises contacts" in fault
    assert "'mail' may be meant as 'email'" in fault


def test_a_column_to_match_on_may_be_in_the_records_alone(team: Team) -> None:
    message = stream("crm-contacts", "id", "title")
    found = team.check(message, row("crm-contacts", id="1", email="ada@example.com"))
    assert faults(found) == []


@pytest.mark.parametrize(
    ("column", "schema", "word"),
    [
        ("email", NUMBER, "integer"),
        ("email", DATED, "date-time"),
        ("title", {"type": "boolean"}, "boolean"),
        ("first_name", {"type": ["object", "null"]}, "object"),
        ("Lead Score", {"type": "boolean"}, "boolean"),
        ("owner_id", NUMBER, "integer"),
    ],
)
def test_a_type_that_can_not_be_the_field_s_is_a_fault(
    team: Team, column: str, schema: Message, word: str
) -> None:
    message = stream("crm-contacts", "id", "email", **{column: schema})
    (fault,) = faults(team.check(message))
    assert f"the column '{column}' is of type {word}" in fault


@pytest.mark.parametrize(
    ("column", "schema"),
    [
        ("title", NUMBER),
        ("title", {}),
        ("title", {"type": ["boolean", "string"]}),
        ("title", {"anyOf": [{"type": "object"}, {"type": "string"}]}),
        ("email", {"type": "string", "format": "email"}),
        ("contact_emails", {"type": "array", "items": {"type": "string"}}),
        ("label_names", {"type": ["array", "null"], "items": {"type": "string"}}),
        ("phone_number", NUMBER),
        ("hubspot_id", NUMBER),
        ("Lead Score", {"type": ["number", "null"]}),
        ("Lead Score", {"type": "string", "format": "singer.decimal"}),
        ("Tier", NUMBER),
    ],
)
def test_nothing_is_said_of_a_type_that_may_be_the_field_s(
    team: Team, column: str, schema: Message
) -> None:
    message = stream("crm-contacts", "id", "email", **{column: schema})
    assert said(team.check(message)) == ""


# --- keys


def test_a_key_that_the_stream_lacks_is_a_fault_with_the_column_that_may_be_meant(
    team: Team,
) -> None:
    streams = {"crm-contacts": {"key": ["contct_id"]}}
    (fault,) = faults(team.check(stream("crm-contacts", "contact_id", "email"), streams=streams))
    assert (
        "has the column 'contct_id', which the stream lacks (did you mean 'contact_id'?)" in fault
    )


def test_a_stream_without_a_key_is_recognised_by_its_address(team: Team) -> None:
    assert said(team.check(stream("crm-contacts", "email", key=()))) == ""


def test_a_stream_of_deals_without_a_key_is_a_fault(team: Team) -> None:
    message = stream("crm-deals", "name", key=())
    found = faults(team.check(message, streams={"crm-deals": {"object": "deals"}}))
    assert any("Stream 'crm-deals' has no key" in one for one in found)


# --- streams


def test_a_stream_without_an_object_is_a_fault_with_the_object_that_may_be_meant(
    team: Team,
) -> None:
    (fault,) = faults(team.check(PEOPLE, stream("crm-acounts", "id", "domain")))
    assert "Stream 'crm-acounts' fits neither contacts nor accounts by its name" in fault
    assert '{"crm-acounts": {"object": "accounts"}}' in fault


@pytest.mark.parametrize(
    "settings",
    [{"streams": {"crm-log": False}}, {"stream_maps": {"crm-log": None}}],
)
def test_nothing_is_said_of_a_stream_that_is_left_out(team: Team, settings: dict[str, Any]) -> None:
    assert said(team.check(PEOPLE, stream("crm-log", "id", "line"), **settings)) == ""


def test_an_entry_for_no_stream_has_the_stream_that_may_be_meant(team: Team) -> None:
    (warning,) = warnings(team.check(PEOPLE, streams={"crm-contcts": {"mode": "insert"}}))
    assert "was used for no stream of this run (crm-contacts) (did you mean 'crm-contacts'?)" in (
        warning
    )


def test_what_is_wrong_with_one_stream_hides_nothing_of_another(team: Team) -> None:
    found = team.check(
        {"type": "SCHEMA", "stream": "a-contacts", "schema": {}, "key_properties": []},
        stream("b-contacts", "id", "email", "titel"),
        field_policy={"titel": "never"},
    )
    assert "The SCHEMA of stream 'a-contacts' has no 'properties'" in "\n".join(faults(found))
    assert "did you mean 'title' for 'titel'?" in "\n".join(faults(found))
    assert "titel (did you mean 'title'?)" in "\n".join(warnings(found))


# --- stream maps


def test_stream_maps_come_before_the_columns(team: Team) -> None:
    maps = {"crm-people": {"__alias__": "crm-contacts", "email": "mail", "mail": "__NULL__"}}
    found = team.check(stream("crm-people", "id", "mail"), stream_maps=maps)
    assert said(found) == ""
    assert [one.name for one in found.streams] == ["crm-contacts"]


def test_a_stream_map_that_can_not_be_applied_is_a_fault(team: Team) -> None:
    maps = {"crm-contacts": {"title": "titl.upper()"}}
    assert any("stream_maps" in one for one in faults(team.check(PEOPLE, stream_maps=maps)))


def test_stream_maps_that_leave_out_every_stream_that_came_are_a_warning(team: Team) -> None:
    maps = {"crm-contcts": {}, "__else__": "__NULL__"}
    found = team.check(PEOPLE, stream_maps=maps)
    assert "leaves out every stream, so a run would write nothing" in said(found)
    assert found.streams == ()


# --- records


def test_records_that_would_be_rejected_are_counted_by_their_reason(team: Team) -> None:
    message = stream("crm-contacts", "id", "email", "contact_stage", "Tier")
    found = team.check(
        message,
        *(row("crm-contacts", id=n, email=f"p{n}@example.com") for n in ("1", "2")),
        *(
            row("crm-contacts", id=n, email=f"p{n}@example.com", contact_stage="Intrested")
            for n in ("3", "4")
        ),
        row("crm-contacts", id="5", email="p5@example.com", Tier="Goldd"),
        row("crm-contacts", id="6", email="nonsense"),
    )
    told = "\n".join(warnings(found))
    assert faults(found) == []
    assert "2 of 6 records would be rejected" in told
    assert "did you mean 'Interested'?" in told
    assert "did you mean 'Gold'?" in told
    assert "nonsense" not in told


def test_names_that_rows_are_written_without_are_told(team: Team) -> None:
    found = team.check(
        stream("crm-contacts", "id", "email", "contact_stage"),
        row("crm-contacts", id="1", email="p1@example.com", contact_stage="Intrested"),
        unresolved={"contact_stage": "drop"},
    )
    assert "is unknown to Apollo in 1 row; they are written without it" in warnings(found)[0]


def test_right_records_say_nothing_and_write_nothing(team: Team, crm: Sandbox) -> None:
    before = crm.store.contacts(), crm.store.accounts()
    found = team.check(
        stream("crm-contacts", "id", "email", "contact_stage", "owner_email", "account_domain"),
        row(
            "crm-contacts",
            id="1",
            email="new@example.com",
            contact_stage="interested",
            owner_email="robin.repp@team.example",
            account_domain="example.com",
        ),
    )
    assert said(found) == ""
    assert (crm.store.contacts(), crm.store.accounts()) == before


# --- catalogs


def test_only_what_a_catalog_selects_is_checked(team: Team) -> None:
    people = entry(stream("crm-contacts", "id", "email", "shoe"), selected=True)
    people["metadata"].append(
        {"breadcrumb": ["properties", "shoe"], "metadata": {"selected": False}}
    )
    others = [
        entry(stream("crm-log", "id"), selected=False),
        entry(stream("crm-notes", "id")),
    ]
    assert said(team.check(catalog={"streams": [people, *others]})) == ""


def test_a_catalog_in_which_nothing_is_selected_yet_is_checked_whole(team: Team) -> None:
    found = team.check(catalog={"streams": [entry(PEOPLE), entry(stream("crm-log", "id"))]})
    assert "Stream 'crm-log' fits neither" in faults(found)[0]


def test_a_key_that_is_always_sent_is_there_though_it_was_deselected(team: Team) -> None:
    people = entry(PEOPLE, selected=True)
    about = {"selected": False, "inclusion": "automatic"}
    people["metadata"].append({"breadcrumb": ["properties", "id"], "metadata": about})
    assert said(team.check(catalog={"streams": [people]})) == ""


def test_the_key_of_a_view_counts(team: Team) -> None:
    people = entry(PEOPLE, **{"view-key-properties": ["id"], "selected": True})
    del people["key_properties"]
    assert team.check(catalog={"streams": [people]}).streams[0].key == ("id",)


@pytest.mark.parametrize("text", ['{"type": "SCHEMA"', "nothing", '{"type": "STATE"}'])
def test_what_is_no_output_of_a_tap_ends_the_check(team: Team, text: str) -> None:
    with pytest.raises(SettingsError):
        RunCheck(team.config(), (), CheckInput(messages=team.write(text)))


def test_the_command_that_makes_fields_can_be_copied_whatever_the_file_is_called() -> None:
    assert CheckInput(catalog="my dir/c.json").making_fields.endswith("--catalog 'my dir/c.json'")
    assert CheckInput(messages="a b").making_fields.endswith("--schema 'a b'")


# --- no false alarm


def test_nothing_is_said_of_a_catalog_with_every_field_of_a_spreadsheet(team: Team) -> None:
    columns = ("ID", "E-Mail", "First Name", "Last Name", "Phone Number", "Title", "Lead Score")
    assert said(team.check(stream("contacts", *columns, key=("ID",)))) == ""


def test_columns_of_the_tap_itself_need_no_field(team: Team) -> None:
    message = stream("crm-contacts", "id", "email", _sdc_deleted_at=DATED, _sdc_batched_at=DATED)
    assert said(team.check(message)) == ""


def test_a_stream_is_told_with_the_places_of_its_columns(team: Team) -> None:
    (one,) = team.check(stream("crm-contacts", "id", "E-Mail", "lead_score", email_2=TEXT)).streams
    assert (one.object, one.mode, one.match_on, one.key) == (
        "contacts",
        "upsert",
        ("email",),
        ("id",),
    )
    assert one.places == {"E-Mail": "email", "lead_score": "Lead Score"}
    assert one.not_written == ("email_2",)
