from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_apollo.apollo import AnswerLost, RequestRefused
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Reason
from target_apollo.model.rows import Row
from target_apollo.sync.refusals import (
    CONSEQUENCES,
    RefusalSubject,
    SplitRequest,
    consequence_of,
    custom_field_rejection,
    missing_ids,
    named_rows,
    rejection,
    says_gone,
    send_in_parts,
    subject_of,
)

T = TypeVar("T")
quick = settings(deadline=None, max_examples=25)

ENDPOINT = CONTACT.endpoints.create
OWNER, MINE, OTHER = "a" * 24, "c0ffee" * 4, "d" * 24
SILENT = "There is something wrong with your request."


def row(number: int, **values: str | None) -> Row:
    email = f"p{number}@example.com"
    return Row(number, (number,), email, {"email": email, **values})


def refused(message: str = SILENT, status: int = 422, **own: object) -> RequestRefused:
    return RequestRefused(ENDPOINT, status=status, message=message, **own)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "status", "is_gone"),
    [
        ("Opportunity does not exist.", 422, True),
        ("This task has been deleted. Please refresh your page.", 422, True),
        (f"Parameters misconfigured. {MINE} is not a valid ID", 422, True),
        (f"Opportunity {MINE} not found", 404, True),
        # These may be about the endpoint, or about another id of the request.
        ("Not Found", 404, False),
        ("", 404, False),
        (f"Parameters misconfigured. {OTHER} is not a valid ID", 422, False),
        ("Parameters misconfigured. owner is not a valid ID", 422, False),
        (SILENT, 422, False),
    ],
)
def test_an_object_that_apollo_makes_twice_is_gone_only_by_words_about_it(
    message: str, status: int, is_gone: bool
) -> None:
    assert says_gone(refused(message, status), MINE) is is_gone


def test_ids_of_other_deleted_records_do_not_make_an_object_gone() -> None:
    refusal = refused("This contact has been deleted.", deleted_ids=(OTHER,))

    assert not says_gone(refusal, MINE)


class Server:
    """Refuses a request as a whole for the bad rows in it, and says what `words` makes of them."""

    def __init__(self, bad: set[int], words: Callable[[list[Row]], str]) -> None:
        self.bad = bad
        self.words = words
        self.requests: list[list[int]] = []

    def __call__(self, rows: Sequence[Row]) -> list[int]:
        self.requests.append([one.number for one in rows])
        blamed = [one for one in rows if one.number in self.bad]
        if blamed:
            raise refused(self.words(blamed))
        return [one.number for one in rows]


def send_all(rows: Sequence[Row], send: Callable[[Sequence[Row]], T]) -> SplitRequest[T]:
    try:
        return SplitRequest([(rows, send(rows))])
    except RequestRefused as refusal:
        return send_in_parts(CONTACT, rows, refusal, send)


WORDS: dict[str, Callable[[list[Row]], str]] = {
    "says nothing": lambda blamed: SILENT,
    "names the first": lambda blamed: f"Invalid: {blamed[0].match_key}.",
    "names all": lambda blamed: ", ".join(f"'{one.match_key}'" for one in blamed),
    "counts": lambda blamed: f"{len(blamed)} of 100 records are invalid (error 422)",
}


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[Row], set[int], Callable[[list[Row]], str]]:
    count = draw(st.integers(1, 16))
    numbers = st.sampled_from([None, "1", "2", "100", "422"])
    rows = [row(n, hubspot_id=draw(numbers)) for n in range(count)]
    bad = draw(st.sets(st.integers(0, count - 1)))
    return rows, bad, WORDS[draw(st.sampled_from(list(WORDS)))]


# --- laws


@quick
@given(requests())
def test_every_row_is_answered_or_refused_once(
    request_: tuple[list[Row], set[int], Callable[[list[Row]], str]],
) -> None:
    rows, bad, words = request_
    parts = send_all(rows, Server(bad, words))
    answered = [one.number for part, _ in parts.answered for one in part]
    assert sorted([*answered, *(one.number for one, _ in parts.refused)]) == [
        one.number for one in rows
    ]


@quick
@given(requests())
@example(([row(0), row(1, hubspot_id="1")], {0}, WORDS["counts"]))
def test_no_good_row_is_refused_and_no_bad_row_is_answered(
    request_: tuple[list[Row], set[int], Callable[[list[Row]], str]],
) -> None:
    rows, bad, words = request_
    parts = send_all(rows, Server(bad, words))
    assert {one.number for one, _ in parts.refused} == bad


@quick
@given(requests())
def test_each_answer_stands_beside_the_rows_that_were_sent_for_it(
    request_: tuple[list[Row], set[int], Callable[[list[Row]], str]],
) -> None:
    rows, bad, words = request_
    parts = send_all(rows, Server(bad, words))
    assert all([one.number for one in part] == answer for part, answer in parts.answered)


@quick
@given(requests())
def test_rows_stay_in_their_order_in_every_request(
    request_: tuple[list[Row], set[int], Callable[[list[Row]], str]],
) -> None:
    rows, bad, words = request_
    server = Server(bad, words)
    send_all(rows, server)
    assert all(numbers == sorted(numbers) for numbers in server.requests)


# --- the cost


def test_rows_without_a_bad_one_cost_one_request() -> None:
    server = Server(set(), WORDS["says nothing"])
    send_all([row(n) for n in range(100)], server)
    assert len(server.requests) == 1


def test_bad_rows_that_are_named_cost_one_more_request() -> None:
    server = Server({7, 40, 99}, WORDS["names all"])
    send_all([row(n) for n in range(100)], server)
    assert len(server.requests) <= 2 + 3


def test_a_bad_row_that_is_not_named_is_found_by_halving() -> None:
    server = Server({37}, WORDS["says nothing"])
    send_all([row(n) for n in range(100)], server)
    assert len(server.requests) <= 15


# --- what is taken apart, and what is not


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_refusal_of_records_is_about_records(status: int) -> None:
    assert consequence_of(refused(status=status)).is_about_rows


@pytest.mark.parametrize("status", [301, 404, 405, 410])
def test_a_refusal_of_the_address_is_not_about_records(status: int) -> None:
    assert not consequence_of(refused(status=status)).is_about_rows


def test_what_does_not_answer_like_apollo_says_nothing_about_records() -> None:
    assert not consequence_of(refused(from_apollo=False)).is_about_rows


@pytest.mark.parametrize(
    "failure", [refused(status=404), AnswerLost(ENDPOINT, reason="answered 502", attempts=4)]
)
def test_any_other_failure_ends_it_at_once(failure: Exception) -> None:
    sent: list[int] = []

    def send(rows: Sequence[Row]) -> None:
        sent.append(len(rows))
        raise failure

    with pytest.raises(type(failure)):
        send_all([row(1), row(2)], send)
    assert sent == [2]


# --- who is named


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value p2@example.com",
        "'P2@Example.com' is not allowed.",
        'Email "p2@example.com", is taken',
        "Email (p2@example.com): no",
        f"Parameters misconfigured. {MINE} is not a valid ID",
        "salesforce id 0035e00000ABC is unknown",
    ],
)
def test_a_row_is_named_by_its_e_mail_or_an_id(message: str) -> None:
    bad = row(2, account_id=MINE, salesforce_id="0035e00000ABC")
    assert named_rows(CONTACT, [row(1), bad, row(3)], refused(message)) == (bad,)


def test_every_row_with_a_named_owner_is_named() -> None:
    rows = [row(1, owner_id=OWNER), row(2, owner_id=OTHER), row(3, owner_id=OWNER)]
    found = named_rows(CONTACT, rows, refused(f"{OWNER} is not a valid ID"))
    assert found == (rows[0], rows[2])


def test_a_row_is_named_by_the_details_of_a_refusal() -> None:
    found = named_rows(CONTACT, [row(1), row(2)], refused(details={"value": "p2@example.com"}))
    assert found == (row(2),)


def test_a_row_is_named_by_the_apollo_id_that_it_carries() -> None:
    bad = Row(2, (2,), None, {"title": "x"}, apollo_id=MINE)
    assert named_rows(CONTACT, [row(1), bad], refused(deleted_ids=(MINE,))) == (bad,)


def test_an_account_is_named_by_its_domain() -> None:
    rows = [Row(n, (n,), f"d{n}.example", {"domain": f"d{n}.example"}) for n in (1, 2)]
    assert named_rows(ACCOUNT, rows, refused("d2.example is no domain")) == (rows[1],)


def test_ordinary_words_name_nobody() -> None:
    innocent = row(1, first_name="Invalid", title="request", organization_name="wrong")
    assert named_rows(CONTACT, [innocent], refused("Invalid request, wrong")) == ()


# --- what a refusal is about


@pytest.mark.parametrize(
    ("refusal", "of_one", "of_many"),
    [
        (refused(deleted_ids=(MINE,)), "DELETED_RECORD", "DELETED_RECORD"),
        (refused("Oops! This contact does not exist in Apollo."), "MISSING_RECORD", "VALUES"),
        (refused(f"{OWNER} is not a valid ID"), "VALUES", "VALUES"),
        (refused(f"{MINE} is not a valid ID"), "MISSING_RECORD", "VALUES"),
        (refused("Not found", status=404), "MISSING_RECORD", "ENDPOINT"),
        (refused(f"no contact {MINE}", status=404), "MISSING_RECORD", "VALUES"),
        (refused(status=404, from_apollo=False), "ENDPOINT", "ENDPOINT"),
        (refused(status=405), "ENDPOINT", "ENDPOINT"),
        (refused(status=301), "ADDRESS", "ADDRESS"),
        (refused(from_apollo=False), "ADDRESS", "ADDRESS"),
    ],
)
def test_a_refusal_of_one_record_or_of_many_has_one_subject(
    refusal: RequestRefused, of_one: str, of_many: str
) -> None:
    assert subject_of(refusal, MINE) is RefusalSubject[of_one]
    assert subject_of(refusal) is RefusalSubject[of_many]


def test_each_subject_has_a_consequence() -> None:
    assert set(CONSEQUENCES) == set(RefusalSubject)


@pytest.mark.parametrize(
    ("refusal", "ids", "missing"),
    [
        (refused(deleted_ids=(MINE,)), {MINE, OTHER}, {MINE}),
        (refused(f"{MINE} is not a valid ID"), {MINE, OTHER}, {MINE}),
        (refused(f"{OWNER} is not a valid ID"), {MINE}, set()),
        (refused("This contact does not exist"), {MINE}, {MINE}),
        (refused("This contact does not exist"), {MINE, OTHER}, set()),
        (refused("Not found", status=404), {MINE}, set()),
        (refused(f"no contact {MINE}"), {MINE}, set()),
    ],
)
def test_a_refusal_says_of_some_records_that_they_are_missing(
    refusal: RequestRefused, ids: set[str], missing: set[str]
) -> None:
    assert missing_ids(refusal, ids) == missing


# --- what the rejects file says


@pytest.mark.parametrize("object_type", [CONTACT, ACCOUNT])
@pytest.mark.parametrize(
    "refusal",
    [
        refused("Cannot update contact as it is deleted.", deleted_ids=(MINE,)),
        refused("This contact has been deleted."),
    ],
)
def test_a_deleted_record_is_told_as_deleted(
    object_type: ObjectType, refusal: RequestRefused
) -> None:
    found = rejection(object_type, MINE, refusal)
    assert found.reason is Reason.DELETED
    assert f"the {object_type.singular} {MINE} was deleted in Apollo" in found.detail


def test_a_deleted_record_without_an_id_is_told_without_gaps() -> None:
    found = rejection(CONTACT, None, refused("This contact has been deleted."))
    assert "the contact was deleted" in found.detail


def test_an_e_mail_address_that_reads_like_a_deletion_is_none() -> None:
    found = rejection(CONTACT, None, refused("deleted.user@example.com is not a valid e-mail"))
    assert found.reason is Reason.REFUSED


@pytest.mark.parametrize(
    "refusal",
    [
        refused("Oops! This contact does not exist in Apollo."),
        refused(f"Parameters misconfigured. {MINE} is not a valid ID"),
        refused("Not found", status=404),
    ],
)
def test_a_record_that_apollo_does_not_know_is_gone(refusal: RequestRefused) -> None:
    assert subject_of(refusal, MINE) is RefusalSubject.MISSING_RECORD
    assert rejection(CONTACT, MINE, refusal).reason is Reason.GONE


@pytest.mark.parametrize(
    "refusal",
    [
        refused(f"Parameters misconfigured. {OTHER} is not a valid ID"),
        refused("Title is too long"),
        refused("page not found", status=404, from_apollo=False),
    ],
)
def test_a_refusal_of_something_else_leaves_the_record_where_it_is(refusal: RequestRefused) -> None:
    assert not consequence_of(refusal, MINE).record_is_gone
    assert rejection(CONTACT, MINE, refusal).reason is Reason.REFUSED


def test_a_row_that_was_written_to_no_id_can_t_be_gone() -> None:
    refusal = refused("Oops! This contact does not exist in Apollo.")
    assert subject_of(refusal) is RefusalSubject.VALUES


@quick
@given(
    st.sampled_from([None, MINE]),
    st.sampled_from(["{}", "{} does not exist", "{} has been deleted", "{} is not a valid ID"]),
    st.sampled_from([400, 404, 422]),
)
def test_apollo_s_own_words_are_kept_apart_from_the_sentence(
    row_id: str | None, message: str, status: int
) -> None:
    said = message.format("ada@example.com")
    found = rejection(CONTACT, row_id, refused(said, status, details={"email": "ada@example.com"}))
    assert "ada@example.com" not in found.detail
    assert found.apollo_message == said
    assert (found.status, found.endpoint) == (status, ENDPOINT)


# --- custom fields


@pytest.mark.parametrize(
    "nothing", [{}, {"custom_field_errors": {}}, {"custom_field_errors": None}]
)
def test_an_answer_without_custom_field_errors_is_none(nothing: dict[str, object]) -> None:
    assert custom_field_rejection(CONTACT, nothing, ENDPOINT) is None


def test_custom_fields_that_were_not_stored_are_named() -> None:
    errors = {"b" * 24: ["is too long"], "a" * 24: ["ada@example.com is no number"]}
    found = custom_field_rejection(
        CONTACT, {"id": MINE, "custom_field_errors": errors}, CONTACT.endpoints.update
    )
    assert found is not None
    assert found.reason is Reason.CUSTOM_FIELD_REFUSED
    assert f"contact {MINE} without its custom fields {'a' * 24}, {'b' * 24};" in found.detail
    assert "@" not in found.detail


@pytest.mark.parametrize("errors", [["nope"], "nope", True, 1])
def test_custom_field_errors_of_an_unknown_shape_count_all_the_same(errors: object) -> None:
    found = custom_field_rejection(ACCOUNT, {"id": MINE, "custom_field_errors": errors}, ENDPOINT)
    assert found is not None
    assert "of unknown name" in found.detail
