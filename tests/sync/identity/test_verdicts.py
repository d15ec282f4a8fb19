"""The table of verdicts, line by line."""

from __future__ import annotations

from itertools import product

import pytest

from target_apollo.model.objects.registry import ACCOUNT, CONTACT
from target_apollo.model.outcomes import Reason
from target_apollo.sync.identity.verdicts import (
    VERDICTS,
    Address,
    Evidence,
    Holder,
    LinkedRecord,
    Name,
    Verdict,
    conflict,
    verdict_of,
)

#: Verdicts after which nothing may be written to a record that was there.
_WRITES_TO_NOBODY = {Verdict.NEW, Verdict.GONE, Verdict.HELD_BY_ANOTHER, Verdict.AMBIGUOUS}

EVERY_EVIDENCE = [Evidence(*parts) for parts in product(LinkedRecord, Address, Holder, Name)]


def test_every_evidence_has_a_verdict() -> None:
    for evidence in EVERY_EVIDENCE:
        assert verdict_of(evidence) in Verdict


def test_every_line_of_the_table_decides_something() -> None:
    first = {
        next(
            place
            for place, case in enumerate(VERDICTS)
            if all(
                getattr(case, part) in (None, getattr(evidence, part))
                for part in ("linked", "address", "holder", "name")
            )
        )
        for evidence in EVERY_EVIDENCE
    }
    assert first == set(range(len(VERDICTS)))


def test_an_address_that_another_row_keeps_is_written_to_nobody() -> None:
    for evidence in EVERY_EVIDENCE:
        is_known = evidence.linked in (LinkedRecord.THERE, LinkedRecord.CLAIMED)
        if evidence.holder is Holder.TAKEN and not (
            is_known and evidence.address is not Address.OTHER
        ):
            assert verdict_of(evidence) in _WRITES_TO_NOBODY, evidence


def test_an_address_of_several_records_is_written_to_none_of_them() -> None:
    for evidence in EVERY_EVIDENCE:
        is_known = evidence.linked in (LinkedRecord.THERE, LinkedRecord.CLAIMED)
        if evidence.holder is Holder.SEVERAL and not (
            is_known and evidence.address is not Address.OTHER
        ):
            assert verdict_of(evidence) is Verdict.AMBIGUOUS, evidence


@pytest.mark.parametrize(
    ("linked", "holder", "name", "verdict"),
    [
        (LinkedRecord.THERE, Holder.NOBODY, Name.SAME, Verdict.ADDRESS_CHANGED),
        (LinkedRecord.THERE, Holder.NOBODY, Name.UNKNOWN, Verdict.ADDRESS_CHANGED),
        (LinkedRecord.THERE, Holder.NOBODY, Name.OTHER, Verdict.NEW),
        (LinkedRecord.THERE, Holder.LINKED, Name.OTHER, Verdict.SAME),
        (LinkedRecord.THERE, Holder.FREE, Name.UNKNOWN, Verdict.MOVED),
        (LinkedRecord.THERE, Holder.LEAVING, Name.SAME, Verdict.ADDRESS_CHANGED),
        (LinkedRecord.THERE, Holder.LEAVING, Name.OTHER, Verdict.NEW),
        (LinkedRecord.CLAIMED, Holder.NOBODY, Name.SAME, Verdict.ADDRESS_CHANGED),
        (LinkedRecord.CLAIMED, Holder.NOBODY, Name.UNKNOWN, Verdict.NEW),
        (LinkedRecord.CLAIMED, Holder.FREE, Name.OTHER, Verdict.MOVED),
        (LinkedRecord.DEAD, Holder.FREE, Name.UNKNOWN, Verdict.MERGED),
        (LinkedRecord.DEAD, Holder.NOBODY, Name.UNKNOWN, Verdict.NEW),
        (LinkedRecord.DEAD, Holder.LEAVING, Name.UNKNOWN, Verdict.NEW),
        (LinkedRecord.NONE, Holder.NOBODY, Name.UNKNOWN, Verdict.NEW),
        (LinkedRecord.MATCHED, Holder.NOBODY, Name.UNKNOWN, Verdict.SAME),
        (LinkedRecord.MATCHED, Holder.FREE, Name.UNKNOWN, Verdict.HELD_BY_ANOTHER),
    ],
)
def test_the_verdict_on_a_row_with_another_address(
    linked: LinkedRecord, holder: Holder, name: Name, verdict: Verdict
) -> None:
    assert verdict_of(Evidence(linked, Address.OTHER, holder, name)) is verdict


def test_a_row_with_the_address_of_its_record_is_its_row() -> None:
    evidence = Evidence(LinkedRecord.THERE, Address.SAME, Holder.NOBODY)

    assert verdict_of(evidence) is Verdict.SAME


def test_a_row_with_the_address_of_its_deleted_record_is_left_out() -> None:
    evidence = Evidence(LinkedRecord.DEAD, Address.SAME, Holder.NOBODY)

    assert verdict_of(evidence) is Verdict.GONE


def test_a_conflict_names_both_records_and_what_to_do() -> None:
    evidence = Evidence(LinkedRecord.THERE, Address.OTHER, Holder.TAKEN)

    why = conflict(CONTACT, evidence, "a" * 24, ["b" * 24])

    assert why.reason is Reason.IDENTITY_CONFLICT
    assert why.detail == (
        f"its e-mail address is that of contact {'b' * 24}, which another row has; its key is "
        f"linked to contact {'a' * 24}. Nothing was written: merge the contacts in Apollo, or "
        "correct the row"
    )


def test_a_conflict_of_an_account_speaks_of_its_domain() -> None:
    evidence = Evidence(LinkedRecord.NONE, Address.SAME, Holder.SEVERAL)

    why = conflict(ACCOUNT, evidence, None, ["a" * 24, "b" * 24])

    assert why.detail.startswith(f"its domain is that of accounts {'a' * 24} and {'b' * 24}. ")
