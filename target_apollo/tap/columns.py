"""The columns of records that are read back from Apollo: what each is called and how it is read.

Apollo documents no types for most of these fields, so each value is brought into its column's type:
a text that is no text becomes JSON, a time that is none is left out.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from singer_sdk import typing as th

from target_apollo.apollo import CustomField
from target_apollo.model.compare import CUSTOM_FIELDS
from target_apollo.model.objects.registry import Json
from target_apollo.model.times import moment

#: The column with the values of custom fields by their labels.
CUSTOM_COLUMN: Final = "custom_fields"


class Kind(enum.Enum):
    """The type of a column."""

    TEXT = enum.auto()
    TIME = enum.auto()
    FLAG = enum.auto()
    NUMBER = enum.auto()
    #: A list of texts.
    TEXTS = enum.auto()
    #: A list of objects, as Apollo answers them.
    OBJECTS = enum.auto()


_TYPES: Mapping[Kind, th.JSONTypeHelper[Any]] = {
    Kind.TEXT: th.StringType(),
    Kind.TIME: th.DateTimeType(),
    Kind.FLAG: th.BooleanType(),
    Kind.NUMBER: th.NumberType(),
    Kind.TEXTS: th.ArrayType(th.StringType()),
    Kind.OBJECTS: th.ArrayType(th.ObjectType(additional_properties=True)),
}


@dataclass(frozen=True)
class Column:
    """A column, the field of Apollo's answer that it has, and what the catalog says of it."""

    name: str
    kind: Kind = Kind.TEXT
    about: str = ""
    field: str = ""


def _columns(kind: Kind, names: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name in names.split())


_CUSTOM = "The values of custom fields, by their labels; options of picklists by their names."

CONTACT_COLUMNS: Final = (
    *_columns(
        Kind.TEXT,
        "first_name last_name name email email_status title headline organization_name "
        "organization_id account_id person_id linkedin_url contact_stage_id owner_id creator_id "
        "sanitized_phone present_raw_address city state country postal_code time_zone source "
        "original_source salesforce_id salesforce_lead_id salesforce_contact_id "
        "salesforce_account_id crm_owner_id",
    ),
    Column("hubspot_id", field="hubspot_vid"),
    Column("phone_numbers", Kind.OBJECTS, "With their type, as Apollo answers them."),
    Column("contact_emails", Kind.OBJECTS, "All addresses, the first one included."),
    Column("label_ids", Kind.TEXTS, "Ids of the lists that it is on: apollo_lists."),
    Column("emailer_campaign_ids", Kind.TEXTS, "Ids of its sequences: apollo_sequences."),
    Column("contact_campaign_statuses", Kind.OBJECTS, "How far it is in each of its sequences."),
    *_columns(Kind.FLAG, "email_unsubscribed call_opted_out"),
    *_columns(Kind.TIME, "last_activity_date created_at"),
    Column("updated_at", Kind.TIME, "The last change, by whomever; contacts are read by it."),
)

ACCOUNT_COLUMNS: Final = (
    *_columns(
        Kind.TEXT,
        "name domain account_stage_id owner_id creator_id organization_id parent_account_id "
        "linkedin_url phone sanitized_phone phone_status raw_address city state country "
        "postal_code source original_source salesforce_id hubspot_id crm_owner_id",
    ),
    Column("label_ids", Kind.TEXTS, "Ids of the lists that it is on: apollo_lists."),
    Column("num_contacts", Kind.NUMBER, "How many contacts it has."),
    *_columns(Kind.TIME, "last_activity_date created_at"),
)

DEAL_COLUMNS: Final = (
    *_columns(
        Kind.TEXT,
        "name opportunity_stage_id stage_name opportunity_pipeline_id owner_id account_id "
        "created_by_id description source deal_source forecast_category next_step "
        "closed_lost_reason closed_won_reason current_solutions salesforce_id crm_id crm_owner_id",
    ),
    *_columns(Kind.NUMBER, "amount amount_in_team_currency forecasted_revenue deal_probability"),
    *_columns(Kind.FLAG, "is_closed is_won"),
    *_columns(
        Kind.TIME,
        "closed_date actual_close_date next_step_date stage_updated_at last_activity_date "
        "created_at",
    ),
)

SEQUENCE_COLUMNS: Final = (
    *_columns(Kind.TEXT, "name user_id emailer_schedule_id folder_id creation_type"),
    *_columns(Kind.FLAG, "active archived"),
    *_columns(
        Kind.NUMBER,
        "num_steps max_emails_per_day unique_scheduled unique_delivered unique_bounced "
        "unique_opened unique_clicked unique_replied unique_demoed unique_unsubscribed",
    ),
    Column("label_ids", Kind.TEXTS, "Ids of the lists that it is on: apollo_lists."),
    *_columns(Kind.TIME, "last_used_at created_at"),
)

LIST_COLUMNS: Final = (
    Column("name"),
    Column("object", about="contact, account or sequence: what is on it."),
    Column("size", Kind.NUMBER, "How many it has, as Apollo last counted them.", "cached_count"),
    Column("user_id", about="Who made it."),
    *_columns(Kind.TIME, "created_at updated_at"),
)


def schema_of(columns: Sequence[Column], *, has_custom_fields: bool) -> dict[str, Any]:
    """The schema of a stream with these columns, beside its key `id`."""
    properties = [th.Property("id", th.StringType, required=True)]
    properties += [
        th.Property(one.name, _TYPES[one.kind], description=one.about or None) for one in columns
    ]
    if has_custom_fields:
        of_any_type = th.ObjectType(additional_properties=True)
        properties.append(th.Property(CUSTOM_COLUMN, of_any_type, description=_CUSTOM))
    return th.PropertiesList(*properties).to_dict()


class CustomFieldNames:
    """The labels of an object's custom fields, and the names of their options."""

    def __init__(self, fields: Iterable[CustomField], modality: str) -> None:
        own = [field for field in fields if field.modality == modality]
        labels = [field.label for field in own]
        #: Id -> label. Two fields of one label keep their id beside it.
        self._labels = {
            one.id: one.label if labels.count(one.label) == 1 else f"{one.label} ({one.id})"
            for one in own
        }
        self._options = {
            one.id: {option: name for name, option in one.options.items()} for one in own
        }

    def readable(self, record: Json) -> dict[str, Any]:
        """The values of a record's custom fields by label; by id where Apollo names no field."""
        values = record.get(CUSTOM_FIELDS)
        if not isinstance(values, dict):
            return {}
        return {
            self._labels.get(str(field_id), str(field_id)): self._named(str(field_id), value)
            for field_id, value in values.items()
        }

    def _named(self, field_id: str, value: object) -> object:
        options = self._options.get(field_id, {})
        if isinstance(value, list):
            return [options.get(str(one), one) for one in value]
        return options.get(str(value), value)


def row_of(columns: Sequence[Column], record: Json) -> dict[str, Any]:
    """The columns of a record, each in its type; None where it has no such value."""
    return {
        "id": record["id"],
        **{one.name: _typed(one.kind, record.get(one.field or one.name)) for one in columns},
    }


def _typed(kind: Kind, value: object) -> object:
    if value is None:
        return None
    if kind is Kind.TEXT:
        return _text(value)
    if kind is Kind.TIME:
        time = moment(value)
        return None if time is None else time.isoformat()
    if kind is Kind.FLAG:
        return value if isinstance(value, bool) else None
    if kind is Kind.NUMBER:
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if not isinstance(value, list):
        return None
    if kind is Kind.TEXTS:
        return [_text(one) for one in value if one is not None]
    return [one for one in value if isinstance(one, dict)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
