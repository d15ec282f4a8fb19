"""Numbers with separators and currencies: read in the one way in which they can be, or refused."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.texts.number_texts import read_number


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from(
        [(",", "."), (".", ","), (" ", ","), ("\u00a0", "."), ("'", "."), ("\u2019", ".")]
    ),
    st.integers(0, 99),
    st.sampled_from(["{}", "{} €", "€{}", "$ {}", "EUR {}", "{}USD"]),
)
def test_an_amount_with_both_separators_has_one_reading(
    whole: int, signs: tuple[str, str], cents: int, currency: str
) -> None:
    group, decimal = signs
    written = f"{whole:,}".replace(",", group) + f"{decimal}{cents:02}"
    exact = Decimal(f"{whole}.{cents:02}")
    assert read_number(currency.format(written)) == exact


@pytest.mark.parametrize("written", ["1,234", "12,345", "-999,000", "€ 1.234", "1.234 EUR"])
def test_a_separator_of_two_meanings_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="thousands or of decimals"):
        read_number(written)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        *(("1,5", "1.5"), ("0,123", "0.123"), ("1.234", "1.234"), ("1,2345", "1.2345")),
        *(("1.234.567", "1234567"), ("1,234,567", "1234567"), ("- 5 €", "-5")),
    ],
)
def test_a_separator_of_one_meaning_is_read(written: str, number: str) -> None:
    assert read_number(written) == Decimal(number)


@pytest.mark.parametrize(
    "written",
    ["", "€", "1 00", "1,23,456", "1.2,3.4", "--5", "$5€", "5 %", "(5)", "1 234.5,6", "5 dollars"],
)
def test_what_is_no_number_is_refused_without_a_guess(written: str) -> None:
    with pytest.raises(ValueError, match="text"):
        read_number(written)


@given(st.text(max_size=12) | st.text("0123456789.,' €-", max_size=12))
def test_any_text_is_a_finite_number_or_refused(written: str) -> None:
    with suppress(ValueError):
        assert read_number(written).is_finite()
