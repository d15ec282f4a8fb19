"""Who owns the value of a field: the warehouse, the CRM, or whoever changed it last. Pure."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace as with_values

from target_apollo.model.columns import field_of
from target_apollo.model.compare import holds, holds_custom, shows, shows_custom
from target_apollo.model.objects.object_type import RecordType
from target_apollo.model.objects.registry import (
    LABEL_NAMES,
    OBJECTS,
    RECORD_TYPES,
    Compare,
    Json,
)
from target_apollo.model.rows import Row
from target_apollo.model.texts.spelling import value_of
from target_apollo.model.times import moment


class FieldPolicy(enum.Enum):
    """When a row's value for a field may be written to an existing record."""

    OVERWRITE = "overwrite"
    #: Written where the field is empty in Apollo.
    FILL_IF_EMPTY = "fill_if_empty"
    #: Written when the record is created, and never after.
    CREATE_ONLY = "create_only"
    NEVER = "never"
    #: Written if the row changed later than the record.
    NEWEST = "newest"


#: Finds the id and label of an object's custom field by a property's name or a field's label.
CustomFields = Callable[[RecordType, str], "tuple[str, str] | None"]

#: The default of the setting `protected_stages`: no record is moved out of these stages. A team
#: need not have them.
PROTECTED_STAGES = ("Do Not Contact",)
#: The key in `field_policy` for all fields that it does not name.
ALL_OTHERS = "*"

#: Policies that need the record's present values in Apollo.
NEEDING_THE_RECORD = (FieldPolicy.FILL_IF_EMPTY, FieldPolicy.NEWEST)


@dataclass(frozen=True)
class Policies:
    """The policies of one stream.

    Attributes:
        fields: By field name, as in `ObjectType.fields`.
        custom: By custom field id.
        otherwise: The policy of all other fields.
        labels: Custom field id -> its label, for messages.
    """

    fields: Mapping[str, FieldPolicy] = field(default_factory=dict)
    custom: Mapping[str, FieldPolicy] = field(default_factory=dict)
    otherwise: FieldPolicy = FieldPolicy.OVERWRITE
    labels: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> FieldPolicy:
        """The policy of a field."""
        return self.fields.get(name, self.otherwise)

    def of_custom(self, field_id: str) -> FieldPolicy:
        """The policy of a custom field."""
        return self.custom.get(field_id, self.otherwise)

    def keeps_out(self, name_or_id: str) -> bool:
        """Whether no row may ever write the field of this name, or the custom field of this id."""
        own = self.fields.get(name_or_id) or self.custom.get(name_or_id)
        return (own or self.otherwise) is FieldPolicy.NEVER

    def keeping(self, row: Row) -> dict[str, str]:
        """Name or custom field id -> policy, for the row's values not under `overwrite`."""
        asked = {
            **{name: self.of(name) for name in (*row.values, *row.names)},
            **{field_id: self.of_custom(field_id) for field_id in row.custom},
        }
        if row.lists:
            asked[LABEL_NAMES] = self.of(LABEL_NAMES)
        return {k: v.value for k, v in asked.items() if v is not FieldPolicy.OVERWRITE}

    @property
    def protect(self) -> bool:
        """Whether any policy is other than `overwrite`."""
        used = {*self.fields.values(), *self.custom.values(), self.otherwise}
        return used != {FieldPolicy.OVERWRITE}


@dataclass(frozen=True)
class PolicyResult:
    """A row without the values that the policies do not allow for its record.

    Attributes:
        protected: Names of fields whose value in Apollo stays and differs, or may differ.
    """

    row: Row
    protected: tuple[str, ...] = ()


def policies_of(
    named: Mapping[str, FieldPolicy], object_type: RecordType, custom_field: CustomFields
) -> Policies:
    """The policies of one object, from the setting `field_policy`."""
    fields: dict[str, FieldPolicy] = {}
    custom: dict[str, FieldPolicy] = {}
    labels: dict[str, str] = {}
    for name, policy in named.items():
        field_name, custom_id_and_label = _place(object_type, name, custom_field)
        if field_name is not None:
            fields[field_name] = policy
        if custom_id_and_label is not None:
            field_id, labels[field_id] = custom_id_and_label
            custom[field_id] = policy
    otherwise = named.get(ALL_OTHERS, FieldPolicy.OVERWRITE)
    if otherwise is FieldPolicy.NEVER:
        # A record can't be created without it.
        fields.setdefault(object_type.needed_field, FieldPolicy.CREATE_ONLY)
    return Policies(fields, custom, otherwise, labels)


def _place(
    object_type: RecordType, name: str, custom_field: CustomFields
) -> tuple[str | None, tuple[str, str] | None]:
    """The field that a policy is for; else the id and label of its custom field, or None."""
    exact = name in object_type.fields or name in object_type.named_fields or name == LABEL_NAMES
    custom = None if exact else custom_field(object_type, name)
    if custom is not None:
        return None, custom
    found = name if exact else field_of(object_type, name)
    if found is None:
        return None, None
    place = object_type.named_fields.get(found, found)
    return (place if place in object_type.fields or place == LABEL_NAMES else None), None


def unknown_names(named: Mapping[str, FieldPolicy], custom_field: CustomFields) -> list[str]:
    """Names in `field_policy` that belong to no field or custom field of any object."""
    return [
        name
        for name in named
        if name != ALL_OTHERS
        and all(_place(one, name, custom_field) == (None, None) for one in RECORD_TYPES)
    ]


def unknown_policy(names: Sequence[str], labels: Sequence[str] = ()) -> str:
    """The sentence for policies without effect, since no field has these names.

    Args:
        labels: The labels of the team's custom fields, of which one may be meant.
    """
    fields = [name for object_type in RECORD_TYPES for name in object_type.fields]
    near = {name: difflib.get_close_matches(name, [*fields, *labels], n=1) for name in names}
    meant = [f"'{found[0]}' for '{name}'" for name, found in near.items() if found]
    hint = f"did you mean {' and '.join(meant)}?" if meant else "check the spelling."
    return (
        f"The setting 'field_policy' names {', '.join(names)}: no field of contacts, "
        "accounts, deals or tasks and no custom field is called that, so nothing would be "
        f"protected; {hint}"
    )


def apply_policies(
    policies: Policies,
    object_type: RecordType,
    row: Row,
    answer: Json | None,
    last_written_at: str | None,
) -> PolicyResult:
    """Removes from a row the values that the policies do not allow for its record.

    Under `fill_if_empty` a field that Apollo does not show is protected, since it may hold a value.

    Args:
        answer: The record as Apollo last showed it; None when only its id is known.
        last_written_at: The record's `updated_at` in Apollo after this row's last write, if known.
    """
    shown_record: Json = answer or {}
    row_is_newer = _is_newer(row, shown_record, last_written_at)

    def may_write(policy: FieldPolicy, *, shown: bool, empty: bool) -> bool:
        if policy is FieldPolicy.FILL_IF_EMPTY:
            return shown and empty
        if policy is FieldPolicy.NEWEST:
            return row_is_newer
        return policy is FieldPolicy.OVERWRITE

    if policies.of(LABEL_NAMES) is FieldPolicy.CREATE_ONLY:
        row = with_values(row, lists=())
    values, custom, protected = dict(row.values), dict(row.custom), []
    for name, value in row.values.items():
        place = object_type.fields[name]
        shown = shows(place, shown_record)
        empty = shown and holds(place, shown_record, None)
        if not may_write(policies.of(name), shown=shown, empty=empty):
            del values[name]
            if not (shown and holds(place, shown_record, value)):
                protected.append(name)
    for field_id, value in row.custom.items():
        shown = shows_custom(shown_record)
        empty = shown and holds_custom(shown_record, field_id, None)
        if not may_write(policies.of_custom(field_id), shown=shown, empty=empty):
            del custom[field_id]
            if not (shown and holds_custom(shown_record, field_id, value)):
                protected.append(policies.labels.get(field_id, field_id))
    if len(values) == len(row.values) and len(custom) == len(row.custom):
        return PolicyResult(row)
    return PolicyResult(with_values(row, values=values, custom=custom), tuple(protected))


def needs_the_record(
    policies: Policies, object_type: RecordType, row: Row, answer: Json | None
) -> bool:
    """Whether the record must be read before the policies can be applied.

    A record is not read for values that Apollo never shows, such as the time of an account's last
    change.
    """
    shown_record: Json = answer or {}
    is_timed = "updated_at" in shown_record or not object_type.shows_updated_at
    asked = [
        (policies.of(name), shows(place, shown_record) or place.compare is Compare.BLIND)
        for name, place in ((name, object_type.fields[name]) for name in row.values)
    ] + [(policies.of_custom(field_id), shows_custom(shown_record)) for field_id in row.custom]
    return any(
        policy in NEEDING_THE_RECORD
        and not (shown if policy is FieldPolicy.FILL_IF_EMPTY else is_timed)
        for policy, shown in asked
    )


def _is_newer(row: Row, known: Json, last_written_at: str | None) -> bool:
    """Whether the row changed later than the record, apart from this row's own last write."""
    apollo = moment(known.get("updated_at"))
    if apollo is None or row.changed_at is None:
        return False
    return row.changed_at > apollo or known.get("updated_at") == last_written_at


def clashes(named: Mapping[str, FieldPolicy], custom_field: CustomFields) -> list[str]:
    """A sentence for each field that has two names with different policies."""
    problems: list[str] = []
    for object_type in RECORD_TYPES:
        first: dict[str, str] = {}
        for name in named:
            field_name, custom = _place(object_type, name, custom_field)
            place = custom[0] if custom else field_name or name
            other = first.setdefault(place, name)
            if named[other] is not named[name]:
                problems.append(
                    f"The setting 'field_policy' has '{other}: {named[other].value}' and '{name}: "
                    f"{named[name].value}', which are one field of Apollo: leave one of them out."
                )
    return list(dict.fromkeys(problems))


def policy_problems(named: Mapping[str, FieldPolicy]) -> list[str]:
    """A sentence for each policy that its field can't have."""
    problems = [
        f"The setting 'field_policy' has '{name}: never', but Apollo recognises records by it: use "
        "'create_only', which leaves it as it is on records that exist."
        for name in [object_type.match_field for object_type in OBJECTS.values()]
        if value_of(named, name) is FieldPolicy.NEVER
    ]
    of_lists = value_of(named, LABEL_NAMES)
    if of_lists in NEEDING_THE_RECORD:
        problems.append(
            f"The setting 'field_policy' has '{LABEL_NAMES}: {of_lists.value}', but "
            "lists are only ever added to: use 'create_only' or 'never'."
        )
    return problems + clashes(named, lambda _object_type, _name: None)
