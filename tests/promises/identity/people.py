"""Rows of people and firms whose keys say nothing about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.promises.conftest import Message, record, schema, state


def person(number: int, key: object, **values: Any) -> Message:
    """The row of person ``number`` under this key; no two people share a word of their names."""
    return record(
        "contacts",
        **{
            "id": key,
            "email": f"p{number}@a.com",
            "first_name": f"Ann{number}",
            "last_name": f"Lee{number}",
            **values,
        },
    )


def people(numbers: Iterable[int], *, first_key: int = 1, **values: Any) -> list[Message]:
    """A whole table, keyed by the number of the row as ``row_number()`` does it."""
    rows = [person(number, key, **values) for key, number in enumerate(numbers, start=first_key)]
    return [schema("contacts"), *rows, state({"at": len(rows)})]


def firm(number: int, key: object, **values: Any) -> Message:
    return record(
        "accounts",
        **{"id": key, "domain": f"firm{number}.com", "name": f"Works{number}", **values},
    )


def firms(numbers: Iterable[int], **values: Any) -> list[Message]:
    rows = [firm(number, key, **values) for key, number in enumerate(numbers, start=1)]
    return [schema("accounts"), *rows, state({"at": len(rows)})]


def named(numbers: Iterable[int]) -> list[tuple[str, str]]:
    """What `World.names` is when these people are in Apollo, each once."""
    return sorted((f"p{number}@a.com", f"Ann{number}") for number in numbers)


def firms_named(numbers: Iterable[int]) -> list[tuple[str, str]]:
    return sorted((f"firm{number}.com", f"Works{number}") for number in numbers)
