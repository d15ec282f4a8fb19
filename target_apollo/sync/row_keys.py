"""How the ledger spells a row: its key, and a hash of what it would write. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from target_apollo.ledger import DELETED, payload_hash_of_texts, source_key
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.policies import Policies
from target_apollo.model.rows import Row, Values


def key_of(row: Row) -> str:
    """The row's source key as the ledger spells it; e-mails in it are hashed.

    Raises:
        RecordError: A key property holds an object or an array.
    """
    try:
        return source_key(row.key)
    except ValueError as problem:
        raise RecordError(Reason.WRONG_TYPE, str(problem)) from None


def payload_hash_of(row: Row, policies: Policies | None) -> str:
    """Stands for all that a row would write, and for the policies that may keep it from that.

    Args:
        policies: None where none of them keeps anything from being written.
    """
    if row.deleted:
        return deletion_mark(row.values, row.lists)
    payload: dict[str, object] = {"values": row.values, "custom": row.custom, "lists": row.lists}
    if policies is not None and (keeping := policies.keeping(row)):
        payload["policies"] = keeping
    return payload_hash_of_texts(payload)


def deletion_mark(values: Values, lists: Sequence[str]) -> str:
    """Stands for the payload of a deleted row, whose record is moved to this stage or list."""
    return DELETED + ",".join([*(value or "" for value in values.values()), *lists])
