"""E-mail addresses: which are valid, in which notations they are read, how they compare."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts import emails
from target_apollo.model.texts.emails import addresses, compared, email, spelled

quick = settings(deadline=None, max_examples=200)

#: Addresses of the usual shape and others near to it.
near = st.from_regex(
    r"[a-z0-9_+'.-]{1,12}@([a-z0-9-]{1,8}\.){1,4}([a-z]{1,6}|local|test|onion|xn--[a-z0-9]{1,5})",
    fullmatch=True,
)
valid = st.from_regex(
    r"[a-z0-9]{1,8}([.+_][a-z0-9]{1,4})?@[a-z]{1,8}\.(example|test|de)", fullmatch=True
)


def sentence(value: object) -> str:
    with pytest.raises(RecordError) as refused:
        email("email", value)
    assert refused.value.rejection.reason is Reason.MALFORMED_EMAIL
    return refused.value.rejection.detail


# --- which are valid


@settings(deadline=None, max_examples=400)
@given(near | st.emails() | valid)
@example("a@b.co")
def test_each_address_of_the_plain_shape_is_one_that_the_package_takes(address: str) -> None:
    found = emails.plain(address)
    assume(found is not None)
    taken = validate_email(found or "", check_deliverability=False, test_environment=True)
    assert taken.ascii_email == found


@quick
@given(near | st.emails())
def test_what_the_package_refuses_is_refused(address: str) -> None:
    try:
        validate_email(address.lower(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        assert spelled(address) is None


@quick
@given(near | st.emails() | st.text(max_size=20))
def test_spelling_twice_is_spelling_once(address: str) -> None:
    found = spelled(address)
    assert found is None or (spelled(found) == found and found.isascii() and found == found.lower())


@pytest.mark.parametrize("top", ["example", "test", "museum", "xn--p1ai"])
def test_names_for_tests_are_valid(top: str) -> None:
    assert email("email", f"Ann@Acme.{top}") == f"ann@acme.{top}"


@pytest.mark.parametrize(
    "address",
    [
        *("ann..lee@acme.example", ".ann@acme.example", "ann.@acme.example", "ann@acme_a.example"),
        *("ann@-acme.example", "ann@1.2.3.4", "ann@[1.2.3.4]", "ann@acme.e1", "ann@test"),
        *(f"ann@{'a' * 64}.example", '"ann lee"@acme.example'),
        *("ann@acme.local", "ann@acme.invalid", "ann@xn--a.example", "unknown@", "@acme.example"),
    ],
)
def test_what_no_mailbox_can_have_is_refused(address: str) -> None:
    assert sentence(address) == "'email' is not an e-mail address"


@pytest.mark.parametrize("value", ["unknown", ",", 42, ["?!"], "[1]"])
def test_a_value_without_an_address_is_told_from_a_malformed_one(value: object) -> None:
    assert sentence(value) == (
        "'email' holds no e-mail address; leave it empty where there is none"
    )


def test_letters_before_the_at_sign_are_ascii() -> None:
    assert sentence("zoë@acme.example") == (
        "'email' is an e-mail address with letters before the @ that are not ASCII"
    )


@pytest.mark.parametrize(
    "nothing", [None, "", " \u200b\ufeff", [], [None, " "], "[]", [{"email": None}]]
)
def test_nothing_is_no_address(nothing: object) -> None:
    assert email("email", nothing) is None


@pytest.mark.parametrize("value", [True, {"a": 1}, [["ann@acme.example"]], [{"mail": "a@b.de"}]])
def test_what_is_neither_text_nor_an_array_of_addresses_is_refused(value: object) -> None:
    with pytest.raises(RecordError) as refused:
        email("email", value)
    assert refused.value.rejection.reason is Reason.WRONG_TYPE


# --- one spelling


@pytest.mark.parametrize("unseen", "\u200b\u200d\ufeff\u2060\u00ad\u202a")
def test_unseen_characters_make_no_other_address(unseen: str) -> None:
    written = f"{unseen}An{unseen}n@acme{unseen}.example{unseen}\u00a0"
    assert email("email", written) == "ann@acme.example"


@pytest.mark.parametrize(
    "written", ["a@Müller.example", "a@mu\u0308ller.example", "A@XN--MLLER-KVA.example"]
)
def test_a_domain_in_its_own_letters_and_in_ascii_is_one(written: str) -> None:
    assert email("email", written) == compared(written) == "a@xn--mller-kva.example"


@quick
@given(near | st.emails() | st.text(max_size=12))
def test_an_address_of_apollo_s_compares_as_a_row_has_it(address: str) -> None:
    found = spelled(address)
    assert found is None or compared(f" {address} ") == found


# --- notations


@pytest.mark.parametrize(
    "written",
    [
        *(
            "mailto:ann@acme.example",
            "MAILTO:Ann@Acme.example?subject=Hi there, Ann&cc=b@c.example",
        ),
        *("mailto:ann%40acme.example", "<ann@acme.example>", "Ann Lee <ann@acme.example>"),
        *('"Lee, Ann; Dr." <ann@acme.example>', "Lee, Ann <ann@acme.example>"),
        *("ann@acme.example <ann@acme.example>", "<mailto:ann@acme.example>", "'ann@acme.example'"),
        *('"other@acme.example" <ann@acme.example>', '["ann@acme.example"]', "{ann@acme.example}"),
        *(
            '[{"email": "ann@acme.example", "position": 0}]',
            "ann@acme.example;",
            "n/a, ann@acme.example",
        ),
    ],
)
def test_every_notation_of_one_address_is_that_address(written: str) -> None:
    assert addresses("email", written) == emails.Addresses(("ann@acme.example",))


@quick
@given(
    st.lists(valid, min_size=1, max_size=5, unique=True),
    st.sampled_from([",", ";", " ", "\n", " ; ", ", ", "\r\n", "\t", ",\u200b"]),
)
def test_several_addresses_in_one_text_are_read_in_their_order(
    given: list[str], between: str
) -> None:
    assert addresses("email", between.join(given)).valid == tuple(given)


@quick
@given(st.lists(valid, max_size=5, unique=True))
def test_an_array_is_read_alike_as_itself_and_in_json(given: list[str]) -> None:
    objects = [{"email": one, "position": at} for at, one in enumerate(given)]
    forms: Sequence[object] = (
        given,
        objects,
        json.dumps(given),
        objects[::-1],
        f"{{{','.join(given)}}}",
    )
    for form in forms:
        assert addresses("contact_emails", form).valid == tuple(given)


@quick
@given(st.lists(valid, min_size=1, max_size=3), st.sampled_from([str.upper, str.title, str]))
def test_each_address_is_there_once(given: list[str], case: type[str]) -> None:
    assert addresses("email", ";".join([*given, *map(case, given)])).valid == tuple(
        dict.fromkeys(given)
    )


def test_malformed_addresses_beside_a_valid_one_are_counted() -> None:
    found = addresses("email", "ann@@acme.example; ann@acme.example, lee@; n/a")
    assert found == emails.Addresses(("ann@acme.example",), malformed=2)


@quick
@given(st.text(max_size=60) | st.text(st.sampled_from("a@b.c<>\"';, ?:[]{}mailto\n"), max_size=60))
def test_any_text_is_read_or_refused_and_what_is_read_is_valid(written: str) -> None:
    try:
        found = addresses("email", written)
    except RecordError as problem:
        assert problem.rejection.reason in (Reason.MALFORMED_EMAIL, Reason.WRONG_TYPE)  # noqa: PT017
        return
    assert all(spelled(one) == one for one in found.valid)


def test_a_value_of_a_megabyte_costs_no_time() -> None:
    for hostile in (
        "<" * 10**6,
        '"' * 10**6,
        "a@" * 500_000,
        "a." * 500_000 + "@b.de",
        "[" * 10**6,
    ):
        assert sentence(hostile)
