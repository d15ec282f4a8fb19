from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.ledger.values import LONGEST_REASON, without_addresses


def test_a_reason_keeps_its_words_and_loses_its_addresses() -> None:
    reason = 'Email "ada@example.com" is taken (by <bob＠example.com>), 422'
    assert without_addresses(reason) == (
        'Email "(address withheld)" is taken (by <(address withheld)>), 422'
    )


@given(st.from_regex(r"[a-z0-9.+_-]{1,20}@[a-z0-9-]{1,10}\.[a-z]{2,5}", fullmatch=True), st.text())
def test_no_address_is_stored_wherever_it_stands(address: str, around: str) -> None:
    assert address not in without_addresses(f"{around} {address} {around}")
    assert address not in without_addresses(around + address + around)


@given(st.text(alphabet=st.characters(), max_size=5 * LONGEST_REASON))
def test_every_reason_can_be_stored(reason: str) -> None:
    stored = without_addresses(reason)
    assert len(stored) <= LONGEST_REASON
    assert "\0" not in stored
    stored.encode("utf-8")
