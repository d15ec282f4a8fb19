"""By what Apollo takes an incoming record for one that it has. Pure.

Source: the reference of ``run_dedupe`` in Apollo's bulk_create endpoints. Contacts: CRM ids, any
e-mail, first and last name with the same company, which is the same e-mail domain (free mail aside)
or company name. Accounts: CRM ids, domain, name.
"""

from __future__ import annotations

from target_apollo.model.free_mail import FREE_MAIL
from target_apollo.model.objects import Json, ObjectKind, ObjectType
from target_apollo.sync.match import match_keys


def identities(target: ObjectType, record: Json) -> list[str]:
    """What a record is recognised by, the strongest first.

    Args:
        record: As Apollo answers it.
    """
    found = [
        f"crm {value}"
        for name in target.crm_ids
        if (value := record.get(target.fields[name].read or ""))
    ]
    keys = match_keys(target, record)
    found += [f"{target.match_field} {key}" for key in keys]
    if target.kind is ObjectKind.ACCOUNTS:
        name = _folded(record.get("name"))
        return [*found, f"name {name}"] if name else found
    return found + _namesakes(record, keys)


def _namesakes(record: Json, addresses: list[str]) -> list[str]:
    first, last = _folded(record.get("first_name")), _folded(record.get("last_name"))
    if not first or not last:
        return []
    domains = [address.rpartition("@")[2] for address in addresses[:1]]
    found = [f"name {first} {last} at {domain}" for domain in domains if domain not in FREE_MAIL]
    organization = record.get("organization_id")
    if organization:
        found.append(f"name {first} {last} in {organization}")
    company = _folded(record.get("organization_name"))
    if company:
        found.append(f"name {first} {last} of {company}")
    return found


def _folded(value: object) -> str:
    return str(value or "").strip().lower()
