"""Normalised values: text, e-mail addresses, ids, custom fields, times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from target_apollo.apollo import CustomField
from target_apollo.model import values
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts import domains, emails
from target_apollo.model.values import Normalise, moment, normaliser_of

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


# --- custom fields


TYPES = (
    *("string", "textarea", "number", "date", "datetime", "boolean", "picklist"),
    *("multipicklist", "phone", "url", "email", "currency"),
)
OPTIONS = {"Gold": "6" * 24, "Silver ": "7" * 24, "true": "8" * 24}

custom_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False, min_value=-(10**20), max_value=10**20)
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.dates().map(str)
    | st.datetimes().map(str)
    | st.sampled_from([*OPTIONS, "6" * 24, "yes", "0", "1e5", " 12 "]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


def normaliser(kind: str) -> Normalise:
    """The normaliser of a custom field of a type."""
    return normaliser_of(CustomField("5" * 24, "Tier", "contact", kind, OPTIONS))


@pytest.mark.parametrize("kind", TYPES)
@quick
@given(value=custom_values)
def test_a_value_becomes_text_or_is_refused(kind: str, value: object) -> None:
    try:
        written = normaliser(kind)("tier", value)
    except RecordError as problem:
        assert problem.rejection.reason in (Reason.WRONG_TYPE, Reason.UNKNOWN_NAME)  # noqa: PT017
    else:
        assert written is None or (isinstance(written, str) and written)


@pytest.mark.parametrize("kind", TYPES)
@quick
@given(value=custom_values)
def test_what_was_written_is_written_the_same_again(kind: str, value: object) -> None:
    try:
        written = normaliser(kind)("tier", value)
    except RecordError:
        return
    assert normaliser(kind)("tier", written) == written


@pytest.mark.parametrize("kind", TYPES)
@quick
@given(value=st.text(st.characters(categories=["Lo"]), min_size=6))
def test_a_refusal_never_shows_the_value_of_a_custom_field(kind: str, value: str) -> None:
    try:
        normaliser(kind)("tier", value)
    except RecordError as problem:
        assert value not in problem.rejection.detail  # noqa: PT017


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_null_and_blanks_are_nothing_in_every_type(kind: str, nothing: object) -> None:
    assert normaliser(kind)("tier", nothing) is None


@pytest.mark.parametrize("kind", ["multipicklist", "multi_select"])
def test_a_field_of_several_options_takes_them_in_every_notation(kind: str) -> None:
    found = normaliser_of(CustomField("5" * 24, "Tags", "contact", kind, OPTIONS))
    both = f"{'6' * 24},{'7' * 24}"
    notations = [["Gold", "Silver"], '["silver","GOLD"]', "{Gold,Silver}", "Silver; Gold", both,
                 ["6" * 24, "Silver", None, "n/a"]]  # fmt: skip
    assert [found("tags", value) for value in notations] == [both] * len(notations)
    assert found("tags", "Gold") == "6" * 24
    assert found("tags", []) is found("tags", "N/A") is None


def test_an_option_with_a_comma_in_its_name_is_one_option() -> None:
    options = {"A, B": "1" * 24, "A": "2" * 24, "B": "3" * 24}
    found = normaliser_of(CustomField("5" * 24, "Tags", "contact", "multipicklist", options))
    assert found("tags", "A, B") == "1" * 24
    assert found("tags", "B, A") == f"{'2' * 24},{'3' * 24}"


@pytest.mark.parametrize("value", ["Gold, Bronze", ["Bronze"], "[Gold, Silver]"])
def test_of_several_options_each_must_be_one(value: object) -> None:
    found = normaliser_of(CustomField("5" * 24, "Tags", "contact", "multipicklist", OPTIONS))
    with pytest.raises(RecordError):
        found("tags", value)


@pytest.mark.parametrize(("value", "written"), [(True, "true"), (False, "false"), (7, "7")])
def test_a_text_field_takes_numbers_and_truth_values(value: object, written: str) -> None:
    assert normaliser("string")("tier", value) == written


# --- numbers


@quick
@given(
    st.integers(-(10**20), 10**20)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)
)
def test_a_number_keeps_its_value(value: int | Decimal) -> None:
    written = normaliser("number")("tier", f" {value} ")
    assert written is not None
    assert Decimal(written) == value
    assert "E" not in written


@pytest.mark.parametrize("value", ["ten", "inf", "-Infinity", "1,500", "0x10", "1 00"])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(RecordError, match="must be a number"):
        normaliser("number")("tier", value)


@pytest.mark.parametrize("value", ["1e100000", Decimal("1E+100000"), "1e-100000"])
def test_a_custom_number_of_absurd_size_is_refused_and_not_spelled_out(value: object) -> None:
    with pytest.raises(RecordError):
        normaliser("number")("tier", value)


# --- truth values


@pytest.mark.parametrize("value", [True, 1, "1", "true", "TRUE", " Yes ", "y", "t", Decimal("1.0")])
def test_every_notation_of_true_is_true(value: object) -> None:
    assert normaliser("boolean")("tier", value) == "true"


@pytest.mark.parametrize("value", [False, 0, "0", "false", "F", "No", "n", Decimal("0.0")])
def test_every_notation_of_false_is_false(value: object) -> None:
    assert normaliser("boolean")("tier", value) == "false"


@pytest.mark.parametrize("value", ["perhaps", 2, [True]])
def test_what_is_neither_true_nor_false_is_refused(value: object) -> None:
    with pytest.raises(RecordError):
        normaliser("boolean")("tier", value)


# --- dates


@quick
@given(st.dates())
def test_a_date_stays_as_it_is(day: date) -> None:
    assert normaliser("date")("tier", day.isoformat()) == day.isoformat()


@quick
@given(
    st.datetimes(timezones=st.none() | st.just(timezone.utc)),
    st.sampled_from(["T", " "]),
)
def test_of_a_time_a_date_field_takes_the_day(moment: datetime, between: str) -> None:
    written = normaliser("date")("tier", moment.isoformat(between))
    assert written == moment.date().isoformat()


@pytest.mark.parametrize(
    "value", ["yesterday", "2026-13-01", "2026-02-30", "01.02.2026", "2026-1-2", "2026-01", 7]
)
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(RecordError, match="must be a date"):
        normaliser("date")("tier", value)


@pytest.mark.parametrize("value", ["2026-01-1599", "2026-01-15nonsense", "2026-01-15-16"])
def test_a_text_that_only_begins_like_a_date_is_refused(value: str) -> None:
    with pytest.raises(RecordError, match="must be a date"):
        normaliser("date")("tier", value)


@pytest.mark.parametrize("value", ["20260115", "2026-W03-4", 20260115])
def test_a_date_is_read_in_the_form_that_the_refusal_names_on_every_python(value: object) -> None:
    # Python 3.11 and later read these forms, 3.10 does not.
    with pytest.raises(RecordError, match="YYYY-MM-DD"):
        normaliser("date")("tier", value)


@quick
@given(st.datetimes(timezones=st.none() | st.just(timezone.utc)), st.booleans())
def test_a_date_and_time_stays_as_it_is(moment: datetime, zulu: bool) -> None:
    written = moment.isoformat()
    written = written.replace("+00:00", "Z") if zulu else written
    assert normaliser("datetime")("tier", written) == written


@pytest.mark.parametrize("value", ["noon", "2026-01-15T25:00:00", "17684784000", True])
def test_what_is_no_date_and_time_is_refused(value: object) -> None:
    with pytest.raises(RecordError):
        normaliser("datetime")("tier", value)


# --- picklists


@quick
@given(st.sampled_from(list(OPTIONS)), st.sampled_from([str.lower, str.upper, str.title]))
def test_an_option_is_found_by_its_name_whatever_its_case(name: str, spell: object) -> None:
    assert callable(spell)
    assert normaliser("picklist")("tier", f" {spell(name)} ") == OPTIONS[name]


@pytest.mark.parametrize("option", OPTIONS.values())
def test_the_id_of_an_option_is_taken_as_it_is(option: str) -> None:
    assert normaliser("picklist")("tier", option) == option


@quick
@given(st.lists(st.sampled_from(["Gold", "gold", "GOLD", "ß", "SS", "a"]), unique=True, min_size=1))
@example(["Gold", "GOLD"])
def test_an_option_s_own_name_is_never_read_as_another_option(names: list[str]) -> None:
    options = {name: f"{number:024x}" for number, name in enumerate(names)}
    found = normaliser_of(CustomField("5" * 24, "Tier", "contact", "picklist", options))
    assert [found("tier", name) for name in names] == list(options.values())


def test_a_name_that_is_no_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecordError) as refused:
        normaliser("picklist")("tier", "Bronze")
    assert refused.value.rejection.detail == (
        "Apollo has no option of the custom field 'Tier' of the name in 'tier'; "
        "it has Gold, Silver, true"
    )


def test_a_misspelled_option_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(RecordError, match="'Goldd' \\('tier'\\); did you mean 'Gold'\\?"):
        normaliser("picklist")("tier", "Goldd")


def test_a_picklist_without_options_says_so() -> None:
    found = normaliser_of(CustomField("5" * 24, "Tier", "contact", "picklist", {}))
    with pytest.raises(RecordError, match="it has none"):
        found("tier", "Gold")


# --- times


NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00.000Z",
        "2026-01-01 12:00:00",
        "2026-01-01 12:00:00+00",
        "2026-01-01 12:00:00.0 UTC",
        "2026-01-01T13:00:00.000000000+01:00",
        " 2026-01-01T07:00:00-05:00 ",
    ],
)
def test_one_moment_has_many_spellings(written: str) -> None:
    assert moment(written) == NOON


@pytest.mark.parametrize("written", [None, 17, "", "soon", "2026-13-01", "12:00", "Z", ["x"]])
def test_what_is_no_time_is_none(written: object) -> None:
    assert moment(written) is None


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_time_is_read_back(when: datetime) -> None:
    assert moment(when.isoformat()) == when


@given(st.text())
def test_any_text_is_a_time_with_a_zone_or_none(written: str) -> None:
    found = moment(written)
    assert found is None or found.tzinfo is not None
