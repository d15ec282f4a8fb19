"""The fields and columns of each object, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docs.tools.markdown import code, table
from target_apollo.cli.fields.missing import StandardField, standard_fields
from target_apollo.model.objects.registry import OBJECTS, STREAM_OBJECTS, ObjectKind, ObjectType
from target_apollo.model.objects.sequence_member import StartsAs
from target_apollo.model.objects.stream_object import StreamObject
from target_apollo.model.objects.task import PRIORITIES, STATUSES, TYPES

#: Properties -> what they hold. Each field has its place here; a missing one ends the making.
_MEANS: Mapping[str, str] = {
    "account_domain": "the account, by the domain of its company",
    "account_id": "the account, by its Apollo id",
    "account_stage": "the stage, by its name",
    "account_stage_id": "the stage, by its Apollo id",
    "amount": "a number without a sign; its currency is the team's",
    "apollo_id": "the record that the row is written to, by its Apollo id",
    "auto_unpause_at": "when a paused contact becomes active by itself: a date and time",
    "closed_date": "the day on which it is expected to close",
    "contact_emails": "an array of more addresses, or of objects with `email`; for new contacts",
    "contact_id": "the contact, by its Apollo id",
    "contact_stage": "the stage, by its name",
    "contact_stage_id": "the stage, by its Apollo id",
    "corporate_phone": "a phone number",
    "deal_stage": "the stage, by its name",
    "direct_phone": "a phone number",
    "domain": "the company's domain; a URL will do",
    "due_at": "when it is due: a date and time",
    "email": "the e-mail address; of several in one text the first that is valid",
    "first_name": "text",
    "home_phone": "a phone number",
    "hubspot_id": "the id there",
    "industry": "text; it needs a custom field of that label",
    "label_names": "an array of names of lists; lists are only ever added to",
    "last_name": "text",
    "linkedin_url": "the address of the profile",
    "list": "the list's name",
    "mailbox": "the address that it is written from",
    "member_key": "the key of the member's row in its own stream",
    "member_stream": "the stream of the member's row",
    "mobile_phone": "a phone number",
    "name": "text",
    "note": "text",
    "object": "`contacts` or `accounts`, where the row does not tell which it names",
    "opportunity_stage_id": "the stage, by its Apollo id",
    "organization_name": "the name of the company; Apollo may write it as it knows it",
    "other_phone": "a phone number",
    "outreach_id": "the id there",
    "owner_email": "the owner, by the e-mail address of the user",
    "owner_id": "the owner, by the user's Apollo id",
    "parent_account_domain": "the parent, by its domain; accounts that are created take it",
    "parent_account_id": "the parent, by its Apollo id; accounts that are created take it",
    "phone_number": "a phone number; a contact's later ones are written as its direct number",
    "present_raw_address": "the address as one text; Apollo may write it as a map service does",
    "raw_address": "the address as one text; Apollo may write it as a map service does",
    "salesforce_account_id": "the id there",
    "salesforce_contact_id": "the id there",
    "salesforce_id": "the id there",
    "salesforce_lead_id": "the id there",
    "salesloft_id": "the id there",
    "sequence": "the sequence, by its name or Apollo id",
    "title": "text",
    "website_url": "an address; Apollo never shows it",
}
#: Columns that hold one of some words -> these words.
_WORDS: Mapping[tuple[str, str], Sequence[str]] = {
    ("sequence_members", "status"): tuple(one.value for one in StartsAs),
    ("tasks", "priority"): PRIORITIES,
    ("tasks", "status"): STATUSES,
    ("tasks", "type"): TYPES,
}


def contacts_table() -> str:
    """The fields of contacts."""
    return _of(OBJECTS[ObjectKind.CONTACTS])


def accounts_table() -> str:
    """The fields of accounts."""
    return _of(OBJECTS[ObjectKind.ACCOUNTS])


def _of(object_type: ObjectType) -> str:
    return table(
        ("field", "what it holds", "new records, by", "existing records, by"),
        (
            (f"`{one.name}`", _MEANS[one.name], *_ways(object_type, one))
            for one in standard_fields(object_type)
        ),
    )


def _ways(object_type: ObjectType, standard: StandardField) -> tuple[str, str]:
    field = object_type.fields.get(standard.names or standard.name)
    grouped = (field.grouped,) if field and field.grouped else ()
    existing = code(*standard.existing, *grouped)
    return code(standard.new), existing or "nothing: it is written on creation only"


def objects_table() -> str:
    """The other objects that a stream can hold, with their modes and keys."""
    return table(
        ("object", "modes", "a row without these is rejected", "by its name alone"),
        (
            (
                f"`{name}`",
                ", ".join(_mode(one, mode.value) for mode in one.modes),
                code(*one.required) or code(one.needed_field),
                "yes" if one.is_told_by_name else "no: name it in `streams`",
            )
            for name, one in STREAM_OBJECTS.items()
        ),
    )


def _mode(one: StreamObject, mode: str) -> str:
    default = one.default_mode is not None and one.default_mode.value == mode
    return f"`{mode}`" + (" (default)" if default else "")


def columns_table() -> str:
    """The columns of each of these objects."""
    return table(
        ("object", "column", "what it holds"),
        (
            (f"`{name}`", f"`{column}`", _words(name, column) or _MEANS[column])
            for name, one in STREAM_OBJECTS.items()
            for column in one.columns
        ),
    )


def _words(name: str, column: str) -> str:
    words = _WORDS.get((name, column))
    return f"one of {code(*words)}" if words else ""
