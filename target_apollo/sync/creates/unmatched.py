"""Why a row is rejected though Apollo answered its creation: the answer confirms nothing. Pure."""

from __future__ import annotations

from target_apollo.model.match_keys import address_of, addresses, called
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.sync.creates.match import Match, Matched


def has_address(object_type: ObjectType, matched: Matched) -> bool:
    """Whether the answered record has the row's e-mail or domain, although no match key agrees."""
    address = address_of(object_type, matched.row)
    return address is not None and address in addresses(object_type, matched.answer or {})


def why_unmatched(object_type: ObjectType, matched: Matched) -> Rejection:
    """The rejection of a row that Apollo matched with another record, or did not answer."""
    answer_id = matched.answer.get("id") if matched.answer else None
    # "e-mail" instead of "e-mail address", since users may filter for the older sentences.
    other = called(object_type, matched.row.match_key).removesuffix(" address")
    if matched.match is Match.CONFLICT:
        same = called(object_type, None) if has_address(object_type, matched) else "name"
        return Rejection(
            Reason.IDENTITY_CONFLICT,
            f"Apollo takes it for {object_type.singular} {answer_id}, which has the same {same} "
            f"but another {other}; it was left alone. Merge or rename one of them in Apollo, or "
            "write that record by its id in mode update",
            status=200,
            endpoint=object_type.endpoints.create,
            attempts=1,
        )
    if matched.match is Match.ALTERED:
        detail = (
            f"not confirmed by Apollo: it created {object_type.singular} {answer_id} without this "
            f"{other}; look at that record in Apollo"
        )
    else:
        detail = "not confirmed by Apollo: no answered record names it, also when it was sent alone"
    return Rejection(
        Reason.NOT_CONFIRMED, detail, status=200, endpoint=object_type.endpoints.create, attempts=2
    )


def taken_by_another(object_type: ObjectType, matched: Matched) -> Rejection:
    """The rejection of a row that Apollo answered with the record of another row."""
    answer_id = (matched.answer or {}).get("id")
    return Rejection(
        Reason.NOT_CONFIRMED,
        f"not confirmed by Apollo: the answer gives it {object_type.singular} {answer_id}, which "
        "is another row's; look at that record in Apollo",
        status=200,
        endpoint=object_type.endpoints.create,
        attempts=1,
    )
