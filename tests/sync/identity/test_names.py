"""Names of a row and of a record are compared by their words."""

from __future__ import annotations

import pytest

from target_apollo.model.objects.registry import ACCOUNT, CONTACT
from target_apollo.model.rows import Row
from target_apollo.sync.identity.names import compare_names
from target_apollo.sync.identity.verdicts import Name


def row(**values: str | None) -> Row:
    return Row(1, (1,), "a@a.example", dict(values))


@pytest.mark.parametrize(
    ("of_row", "of_record", "verdict"),
    [
        (("Ann", "Lee"), ("Ann", "Lee"), Name.SAME),
        (("Ann", "Miller"), ("Ann", "Lee"), Name.SAME),
        (("ANN", "LÉE"), ("ann", "lee"), Name.SAME),
        (("Ann-Marie", "Lee"), ("Ann Marie", "Li"), Name.SAME),
        (("Ann", "Lee"), ("Bob", "Ray"), Name.OTHER),
        (("Ann", None), ("Bob", None), Name.OTHER),
        ((None, None), ("Bob", "Ray"), Name.UNKNOWN),
        (("Ann", "Lee"), (None, ""), Name.UNKNOWN),
        (("李", "明"), ("王", "明"), Name.SAME),
    ],
)
def test_people_are_the_same_if_they_share_a_word_of_their_name(
    of_row: tuple[str | None, str | None],
    of_record: tuple[str | None, str | None],
    verdict: Name,
) -> None:
    written = row(first_name=of_row[0], last_name=of_row[1])
    record: dict[str, object] = {"first_name": of_record[0], "last_name": of_record[1]}

    assert compare_names(CONTACT, written, record) is verdict


@pytest.mark.parametrize(
    ("of_row", "of_record", "verdict"),
    [
        ("Acme Inc.", "ACME", Name.SAME),
        ("Acme Inc.", "Globex Inc.", Name.OTHER),
        ("The Limited", "The Limited", Name.SAME),
    ],
)
def test_forms_of_companies_are_no_shared_word(of_row: str, of_record: str, verdict: Name) -> None:
    assert compare_names(ACCOUNT, row(name=of_row), {"name": of_record}) is verdict
