"""Normalised values: text, numbers, e-mail addresses, ids, names of lists, phone numbers, pages."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from target_apollo.model import values
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts import domains, emails

quick = settings(deadline=None, max_examples=25)

hostile_text = st.text(st.characters(exclude_categories=()), max_size=40)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
# An "xn--" label has to be real IDNA, and a top level of one letter does not exist.
hosts = st.builds(
    lambda names, top: ".".join([*names, top]),
    st.lists(labels.filter(lambda name: "--" not in name), min_size=1, max_size=4),
    st.sampled_from(["com", "io", "de", "co.uk", "museum"]),
)
web_texts = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "http://", "HTTPS://", "//", "ftp://"]),
        st.sampled_from(["", "www.", "WWW.", "www.www."]),
        hosts | st.sampled_from(["Müller.example", "例え.テスト", "ﬁ.com", "ß.de"]),
        st.sampled_from(["", ":8080", ":"]),
        st.sampled_from(["", "/", "/team?x=1#a", "."]),
    ),
)
addresses = st.builds(
    lambda local, host: f"{local}@{host}",
    st.from_regex(r"[a-zA-Z0-9+_-]{1,10}(\.[a-zA-Z0-9+_-]{1,9})?", fullmatch=True),
    hosts,
)
hex_ids = st.from_regex(r"[0-9a-fA-F]{24}", fullmatch=True)
numbers = (
    st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | hostile_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile_text, inner, max_size=3),
    max_leaves=5,
)

Normaliser = Callable[[str, object], "str | None"]
NORMALISERS: tuple[Normaliser, ...] = (
    values.text,
    emails.email,
    domains.domain,
    values.apollo_id,
    values.phone,
    values.url,
)


@pytest.mark.parametrize("normalise", NORMALISERS)
@quick
@given(value=json_values | addresses | web_texts | hex_ids)
@example(value="https://www.www.example.com")
def test_normalising_twice_is_normalising_once(normalise: Normaliser, value: object) -> None:
    try:
        once = normalise("field", value)
    except RecordError:
        return
    assert normalise("field", once) == once


@pytest.mark.parametrize("normalise", NORMALISERS)
@quick
@given(value=json_values)
def test_any_value_is_spelled_or_refused_with_a_reason(
    normalise: Normaliser, value: object
) -> None:
    try:
        written = normalise("field", value)
    except RecordError as problem:
        assert "'field'" in problem.rejection.detail  # noqa: PT017
    else:
        assert written is None or (isinstance(written, str) and written.strip())


@pytest.mark.parametrize("normalise", NORMALISERS)
@quick
@given(value=st.text(st.characters(categories=["Lo", "Nd"]), min_size=8, max_size=40))
def test_a_refusal_never_shows_the_value(normalise: Normaliser, value: str) -> None:
    try:
        normalise("field", value)
    except RecordError as problem:
        assert value not in problem.rejection.detail  # noqa: PT017


# --- text


@quick
@given(hostile_text)
def test_text_can_always_be_sent_as_utf_8(value: str) -> None:
    (values.text("title", value) or "").encode()


@quick
@given(
    st.text(st.characters(categories=["L", "N"]), min_size=1), st.sampled_from("\x00\x07\x1b\x7f")
)
def test_control_characters_are_left_out_of_text(value: str, control: str) -> None:
    assert values.text("title", f" {control}{value}{control}\r\n") == value


def test_line_breaks_and_tabs_inside_a_text_are_kept() -> None:
    assert values.text("address", "1 Pine St\n\tSan Francisco") == "1 Pine St\n\tSan Francisco"


@pytest.mark.parametrize("nothing", [None, "", "  \t\n", "\x00", "\u00a0\u2003"])
def test_null_and_blanks_are_nothing(nothing: object) -> None:
    assert values.text("title", nothing) is None


@pytest.mark.parametrize(
    ("value", "kind"), [(True, "true or false"), ({"a": 1}, "an object"), ([1], "an array")]
)
def test_what_is_no_text_is_refused_by_its_kind(value: object, kind: str) -> None:
    with pytest.raises(RecordError, match=f"'title' must be text, not {kind}") as refused:
        values.text("title", value)
    assert refused.value.rejection.reason is Reason.WRONG_TYPE


@quick
@given(numbers)
def test_a_number_keeps_its_value_and_gets_no_exponent(value: int | float | Decimal) -> None:
    written = values.number_text(value)
    assert Decimal(written) == Decimal(str(value))
    assert set(written) <= set("-.0123456789")


@quick
@given(st.integers(-(10**15), 10**15), st.integers(0, 6), st.integers(0, 4))
def test_equal_numbers_are_spelled_the_same(digits: int, places: int, zeros: int) -> None:
    short = Decimal(digits).scaleb(-places)
    long = Decimal(f"{short:f}" + ("" if places else ".") + "0" * (zeros + 1))
    assert values.number_text(long) == values.number_text(short)


def test_zero_has_no_sign() -> None:
    assert values.number_text(Decimal("-0.0")) == "0"


@pytest.mark.parametrize("value", [Decimal("1E+100000"), Decimal("1E-100000")])
def test_a_number_of_absurd_size_is_refused_and_not_spelled_out(value: Decimal) -> None:
    with pytest.raises(RecordError):
        values.text("phone_number", value)


# --- e-mail addresses


@quick
@given(addresses, st.sampled_from(["", " ", "\t", "\n", "\u00a0"]))
def test_an_address_is_trimmed_and_in_lower_case(address: str, blank: str) -> None:
    assert emails.email("email", f"{blank}{address}{blank}") == address.lower()


@pytest.mark.parametrize(
    "value",
    [
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@example..com",
        "ada@@example.com",
        "ada lovelace@example.com",
        "ada@.example.com",
        "ada@example.com.",
        f"{'a' * 250}@example.com",
    ],
)
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(RecordError) as refused:
        emails.email("email", value)
    assert refused.value.rejection.reason is Reason.MALFORMED_EMAIL


# --- ids, names, phones, addresses of pages


@quick
@given(hex_ids)
def test_an_apollo_id_is_24_hex_digits_in_lower_case(value: str) -> None:
    assert values.apollo_id("apollo_id", f" {value} ") == value.lower()
    assert values.is_apollo_id(value.lower())


@quick
@given(st.text(max_size=30) | st.from_regex(r"[0-9a-f]{23}|[0-9a-f]{25}", fullmatch=True))
def test_anything_else_is_no_apollo_id(value: str) -> None:
    # A placeholder such as NIL says that there is no value.
    written = values.typed_text("apollo_id", value)
    assume(written is not None and not values.is_apollo_id(written.lower()))
    with pytest.raises(RecordError) as refused:
        values.apollo_id("apollo_id", value)
    assert refused.value.rejection.reason is Reason.MALFORMED_ID


@quick
@given(st.lists(st.sampled_from(["A", " A ", "B", "", " ", None, 7])))
def test_names_of_lists_are_kept_once_each_in_their_order(value: list[object]) -> None:
    found = values.names("label_names", value)
    trimmed = [str(entry).strip() for entry in value if entry is not None]
    assert found == tuple(dict.fromkeys(name for name in trimmed if name))


def test_a_single_name_is_a_list_of_one() -> None:
    assert values.names("label_names", " Customers ") == ("Customers",)


@pytest.mark.parametrize("value", [{"name": "A"}, [["A"]], [{"name": "A"}], True])
def test_what_is_no_list_of_names_is_refused(value: object) -> None:
    with pytest.raises(RecordError):
        values.names("label_names", value)


@quick
@given(
    st.from_regex(r"[1-9][0-9]{4,14}", fullmatch=True),
    st.lists(st.sampled_from([" ", "-", "(", ")", ".", "/"]), min_size=15, max_size=15),
    st.sampled_from(["", "+", "00"]),
)
def test_phone_numbers_are_compared_by_their_digits(
    digits: str, signs: list[str], prefix: str
) -> None:
    written = prefix + "".join(digit + sign for digit, sign in zip(digits, signs, strict=False))
    assert values.phone_digits(written) == digits


@pytest.mark.parametrize(
    "written",
    [
        "http://www.linkedin.com/in/ada",
        "https://linkedin.com/in/ada/",
        "linkedin.com/in/ada",
        " HTTPS://WWW.LinkedIn.com/in/Ada ",
    ],
)
def test_every_notation_of_a_page_compares_equal(written: str) -> None:
    assert values.plain_url(written) == "linkedin.com/in/ada"
