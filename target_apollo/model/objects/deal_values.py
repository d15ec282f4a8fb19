"""What is sent of a deal's row, and whether Apollo's answer confirms it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from target_apollo.model.compare import CUSTOM_FIELDS, holds, holds_custom, shows_custom
from target_apollo.model.objects.deal import ACCOUNT_ID, DEAL
from target_apollo.model.objects.registry import Json
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.model.rows import Row, Values

#: Kept of each deal that a pass through all of them reads.
_KEPT = ("id", *DEAL.fields, CUSTOM_FIELDS)


def creation_body(row: Row, mark: Mapping[str, str]) -> Json:
    """The body of the request that makes a row's deal.

    Args:
        mark: The custom field that tells which row the deal is of, and its text.
    """
    values = {name: value for name, value in row.values.items() if value is not None}
    custom = {field_id: value for field_id, value in row.custom.items() if value is not None}
    return {**values, CUSTOM_FIELDS: {**custom, **mark}}


def update_body(row: Row, mark: Mapping[str, str], before: Json | None) -> Json:
    """The body of the request that changes a deal; empty if the deal holds all values.

    Args:
        before: The deal as Apollo last showed it; None where it is not known.
    """
    shown: Json = before or {}
    values: Values = {
        name: value
        for name, value in row.values.items()
        if name != ACCOUNT_ID and not (before and holds(DEAL.fields[name], shown, value))
    }
    custom = {
        field_id: value or ""
        for field_id, value in {**row.custom, **mark}.items()
        if not (shows_custom(shown) and holds_custom(shown, field_id, value))
    }
    body: Json = {name: "" if value is None else value for name, value in values.items()}
    return {**body, CUSTOM_FIELDS: custom} if custom else body


def kept_part(deal: Json) -> Json:
    """The part of an answered deal that rows are compared with."""
    return {name: deal[name] for name in _KEPT if name in deal}


def unconfirmed(
    sent: Json, answer: Json, mark: Mapping[str, str], endpoint: str
) -> Rejection | None:
    """Why an answer does not confirm what was sent; None if it does.

    Apollo leaves an amount blank that it can't read, and a custom field that it does not take, and
    answers 200 all the same.
    """
    apollo_id = answer.get("id")
    custom = sent.get(CUSTOM_FIELDS)
    written = custom if isinstance(custom, dict) else {}
    refused = answer.get("custom_field_errors")
    missed = sorted(
        field_id
        for field_id, value in written.items()
        if not shows_custom(answer)
        or bool(value) is holds_custom(answer, field_id, None)
        or (field_id in mark and not holds_custom(answer, field_id, value))
    )
    if refused or missed:
        names = sorted(refused) if isinstance(refused, dict) else missed
        return Rejection(
            Reason.CUSTOM_FIELD_REFUSED,
            f"Apollo stored deal {apollo_id} without its custom fields "
            f"{', '.join(names) or 'of unknown name'}; mend their values",
            status=200,
            endpoint=endpoint,
            attempts=1,
        )
    differing = [
        name
        for name, value in sent.items()
        if name != CUSTOM_FIELDS
        and not holds(DEAL.fields[name], answer, str(value) if value else None)
    ]
    if not differing:
        return None
    return Rejection(
        Reason.NOT_CONFIRMED,
        f"Apollo stored deal {apollo_id}, and its answer has other values of "
        f"{', '.join(differing)} than were sent; look at the deal, and mend the row",
        status=200,
        endpoint=endpoint,
        attempts=1,
    )
