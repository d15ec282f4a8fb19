"""Match keys: texts by which a row and a record of Apollo are recognised as the same. Pure.

A match key is compared as a whole. E-mail addresses and domains have no prefix, as in all ledgers
since the first version. All other keys have their kind as prefix: ``hubspot_id:123``,
``linkedin_url:linkedin.com/in/ann``, ``name:ann lee|acme``, ``custom:<id of the field>:<value>``.
The setting `match_on` names the kinds of keys that count, in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

from msgspec.structs import replace as with_values

from target_apollo.model.compare import CUSTOM_FIELDS, more_addresses
from target_apollo.model.objects.registry import OBJECTS, Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.model.texts.characters import bare
from target_apollo.model.texts.domains import bare_host
from target_apollo.model.texts.emails import compared
from target_apollo.model.texts.spelling import spelled_as
from target_apollo.model.values import plain_url

#: Prefix of the label, or of the id, of a custom field.
CUSTOM = "custom:"
LINKEDIN, NAME = "linkedin_url", "name"
_CONTACT_NAME = ("first_name", "last_name", "organization_name")
#: Host and path of a profile or company, without tracking parameters.
_LINKEDIN_PATH = re.compile(r"linkedin\.com/[^/?#]+/[^/?#]+")

#: A misspelled kind of key; a key of an API has digits.
_LOOKS_LIKE_A_NAME = re.compile(r"[A-Za-z_ ]{0,40}:? ?").fullmatch

_Values = Mapping[str, "str | None"]


def kinds_of(object_type: ObjectType) -> tuple[str, ...]:
    """The kinds of keys of an object without its custom fields, as `match_on` names them."""
    crm_ids = [name for name in object_type.fields if name in _CRM_IDS]
    return (object_type.match_field, LINKEDIN, *crm_ids, NAME)


_CRM_IDS = frozenset({"hubspot_id", "salesforce_id", "salesforce_lead_id", "salesforce_contact_id"})


def name_fields(object_type: ObjectType) -> tuple[str, ...]:
    """The fields that make up the key `name` of an object."""
    return (NAME,) if NAME in object_type.fields else _CONTACT_NAME


def kind_named(name: str) -> str:
    """The kind of key that an entry of `match_on` names, in any spelling; the entry for none.

    >>> kind_named("E-Mail"), kind_named("LinkedIn URL"), kind_named("custom:ERP id")
    ('email', 'linkedin_url', 'custom:ERP id')
    """
    if name.startswith(CUSTOM):
        return name
    return spelled_as(name, {kind for one in OBJECTS.values() for kind in kinds_of(one)})


def match_on_of(
    object_type: ObjectType, own: Sequence[str] | None, common: Sequence[str]
) -> tuple[str, ...]:
    """The kinds that count for a stream.

    Args:
        own: The stream's own setting, if it has one.
        common: The setting for all streams, which may name kinds of other objects.
    """
    kinds = kinds_of(object_type)
    named = own or [kind for kind in common if kind in kinds or kind.startswith(CUSTOM)]
    return tuple(dict.fromkeys(named)) or (object_type.match_field,)


def match_on_problems(
    setting: str, names: Iterable[str], object_type: ObjectType | None = None
) -> list[str]:
    """A sentence for each entry that names no kind of key.

    An entry that no name looks like is told by its number: it may be a secret in the wrong place.

    Args:
        setting: The setting that holds the names.
        object_type: The object that must have these kinds; without it, any object may.
    """
    objects = OBJECTS.values() if object_type is None else (object_type,)
    known = dict.fromkeys(kind for one in objects for kind in kinds_of(one))
    return [
        f"The setting '{setting}' has an entry {_shown(name, number)}, which is no key"
        f"{'' if object_type is None else f' of {object_type.kind.value}'}: it takes "
        f"{', '.join(known)} and 'custom:' with the label of a custom field."
        for number, name in enumerate(names, 1)
        if kind_named(name) not in known
        and not (name.startswith(CUSTOM) and name[len(CUSTOM) :].strip())
    ]


def _shown(name: str, number: int) -> str:
    return f"'{name}'" if _LOOKS_LIKE_A_NAME(name) else f"(number {number})"


# --- keys of rows


def keys_of_row(match_on: Sequence[str], values: _Values, custom: _Values) -> tuple[str, ...]:
    """The keys that a row has, in the order of `match_on`.

    Args:
        match_on: Kinds of keys; a custom field is ``custom:`` and its id.
    """
    found = (_key(kind, values, custom) for kind in match_on)
    return tuple(key for key in found if key is not None)


def every_key(row: Row) -> frozenset[str]:
    """The keys of all kinds that a row has, also of kinds that `match_on` does not name."""
    kinds = dict.fromkeys(kind for one in OBJECTS.values() for kind in kinds_of(one))
    custom = [f"{CUSTOM}{field_id}" for field_id in row.custom]
    named = keys_of_row((*kinds, *custom), row.values, row.custom)
    return frozenset((*keys(row), *named))


def keys(row: Row) -> tuple[str, ...]:
    """The row's keys of the kinds in `match_on`, in that order."""
    return (row.match_key, *row.more_keys) if row.match_key else row.more_keys


def address_of(object_type: ObjectType, row: Row) -> str | None:
    """The e-mail address or domain of a row, also if `match_on` does not name it."""
    if row.match_key and is_address(row.match_key):
        return row.match_key
    return row.values.get(object_type.match_field)


def by_address(object_type: ObjectType, row: Row) -> Row | None:
    """A row with its e-mail address or domain as its only key; None for one without."""
    address = address_of(object_type, row)
    return None if not address else with_values(row, match_key=address, more_keys=())


def _key(kind: str, values: _Values, custom: _Values) -> str | None:
    if kind.startswith(CUSTOM):
        value = custom.get(kind[len(CUSTOM) :])
        return f"{kind}:{value}" if value else None
    if kind == NAME:
        return _name_key(values)
    value = values.get(kind)
    if not value:
        return None
    if kind == LINKEDIN:
        return f"{LINKEDIN}:{linkedin_path(value)}"
    return f"{kind}:{value}" if kind in _CRM_IDS else value


def _name_key(values: Mapping[str, object]) -> str | None:
    """The key of an account's name, or of a contact's names and company."""
    if values.get("name") and "first_name" not in values:
        return f"{NAME}:{_folded(values['name'])}"
    first, last, company = (_folded(values.get(name)) for name in _CONTACT_NAME)
    return f"{NAME}:{first} {last}|{company}" if first and last and company else None


def _folded(value: object) -> str:
    return " ".join(bare(str(value or "")).casefold().split())


def linkedin_path(url: str) -> str:
    """A LinkedIn address in the form in which two of them are compared.

    >>> linkedin_path("https://de.linkedin.com/in/Ann-Lee/?trk=x")
    'linkedin.com/in/ann-lee'
    """
    plain = unquote(plain_url(url))
    found = _LINKEDIN_PATH.match(plain)
    return found[0] if found else plain.partition("?")[0].partition("#")[0].rstrip("/")


def identity_of(object_type: ObjectType, row: Row) -> Row:
    """A row with nothing but the values by which its record is recognised.

    These are its e-mail or domain, the CRM ids that Apollo compares, and the fields of `match_on`.
    A name is among them only if the row has none of the others: a request that carried it along
    could change the name of the record that is recognised.
    """
    kinds = {kind_of(object_type, key) for key in keys(row)}
    wanted = {object_type.match_field, *object_type.crm_ids, *kinds}
    known = (object_type.match_field, *object_type.crm_ids)
    if NAME in kinds or not any(row.values.get(name) for name in known):
        wanted.update(name_fields(object_type))
    return with_values(
        row,
        values={name: value for name, value in row.values.items() if name in wanted},
        custom={one: value for one, value in row.custom.items() if f"{CUSTOM}{one}" in wanted},
        lists=(),
        more_emails=(),
    )


# --- keys of records


def addresses(object_type: ObjectType, answer: Json) -> list[str]:
    """The e-mails of an answered record, the primary one first, or its domain; normalised."""
    written = answer.get(object_type.match_field)
    if object_type.is_matched_by_domain:
        host = bare_host(written) if isinstance(written, str) else None
        return [host] if host else []
    first = [compared(written)] if isinstance(written, str) else []
    return list(dict.fromkeys([*first, *more_addresses(answer)]))


def keys_of_record(object_type: ObjectType, answer: Json) -> list[str]:
    """All keys that an answered record shows; its addresses come first."""
    found = addresses(object_type, answer)
    linkedin = answer.get(LINKEDIN)
    if isinstance(linkedin, str) and linkedin:
        found.append(f"{LINKEDIN}:{linkedin_path(linkedin)}")
    for name in kinds_of(object_type):
        if name in _CRM_IDS and (value := answer.get(object_type.fields[name].read or "")):
            found.append(f"{name}:{str(value).strip()}")
    names = ("name",) if "name" in object_type.fields else _CONTACT_NAME
    name_key = _name_key({name: answer.get(name) for name in names})
    if name_key is not None:
        found.append(name_key)
    custom = answer.get(CUSTOM_FIELDS)
    if isinstance(custom, dict):
        found += [f"{CUSTOM}{one}:{str(value).strip()}" for one, value in custom.items() if value]
    return found


def shows_kind(object_type: ObjectType, answer: Json, key: str) -> bool:
    """Whether an answer would show a key of this kind if the record has one."""
    kind = kind_of(object_type, key)
    if kind.startswith(CUSTOM):
        return isinstance(answer.get(CUSTOM_FIELDS), dict)
    if kind == NAME:
        # Apollo replaces a company's name by the one that it knows.
        return False
    return (object_type.fields[kind].read or kind) in answer


# --- kinds of keys


def is_address(key: str) -> bool:
    """Whether a key is an e-mail address or a domain."""
    return ":" not in key


def kind_of(object_type: ObjectType, key: str) -> str:
    """The kind of a key as in `match_on`; a custom field is ``custom:`` and its id."""
    if is_address(key):
        return object_type.match_field
    kind, _, rest = key.partition(":")
    return CUSTOM + rest.partition(":")[0] if kind == "custom" else kind


def called(object_type: ObjectType, key: str | None) -> str:
    """The words for a key of this kind in a sentence."""
    if key is None or is_address(key):
        return "domain" if object_type.is_matched_by_domain else "e-mail address"
    kind = kind_of(object_type, key)
    if kind == NAME:
        return NAME if "name" in object_type.fields else "name and company"
    return "custom field" if kind.startswith(CUSTOM) else kind


def is_known_to_create(object_type: ObjectType, kind: str) -> bool:
    """Whether bulk_create with ``run_dedupe`` recognises records by keys of a kind."""
    return kind in (object_type.match_field, NAME, *object_type.crm_ids)


def is_matched_on_creation(object_type: ObjectType, row: Row) -> bool:
    """Whether bulk_create recognises the record that an earlier request made of the same row."""
    if row.match_key is None or is_address(row.match_key):
        return True
    known = (object_type.match_field, NAME, *object_type.crm_ids)
    return bool(keys_of_row(known, row.values, row.custom))
