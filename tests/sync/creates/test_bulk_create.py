"""What is sent again after a bulk_create, and what is known of the rows then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from target_apollo.apollo import ApolloClient, BulkCreated
from target_apollo.model.objects.registry import CONTACT, Json
from target_apollo.model.rows import Row
from target_apollo.sync.creates.bulk_create import BulkCreate
from target_apollo.sync.creates.match import Match
from target_apollo.sync.records.plan import CreateRequest


class Answers:
    """Stands for the client: gives its answers in turn, and keeps what was sent."""

    def __init__(self, *answers: BulkCreated) -> None:
        self._answers = iter(answers)
        self.sent: list[list[str]] = []

    def create(self, of: object, items: Sequence[Json], **arguments: Any) -> BulkCreated:
        self.sent.append([str(item["email"]) for item in items])
        return next(self._answers)


def row(number: int, first_name: str, email: str, **own: Any) -> Row:
    values: dict[str, str | None] = {"email": email, "first_name": first_name, "last_name": "Lee"}
    return Row(number, (number,), email, values, **own)


def contact(of: Row, email: str | None = None) -> Json:
    """The record of a row; with another e-mail it is a namesake's."""
    shown = email or of.match_key
    return {
        **of.values,
        "id": f"{of.number:x}" * 24,
        "email": shown,
        "name": f"{of.values['first_name']} Lee",
        "contact_emails": [{"email": shown}],
    }


def bulk_create(answers: Answers, *, may_resend: bool = True) -> BulkCreate:
    client = cast(ApolloClient, answers)
    return BulkCreate(
        client, CONTACT, creates_namesakes=False, may_resend=may_resend, hidden_kinds=frozenset()
    )


ANN = row(1, "Ann", "ann@a.com", more_emails=("lee@a.com",))
CID = row(2, "Cid", "cid@a.com")


def test_a_row_that_an_answer_leaves_out_is_sent_again_and_known_to_have_been_sent() -> None:
    answers = Answers(BulkCreated([contact(CID)], []), BulkCreated([], [contact(ANN)]))

    result = bulk_create(answers).send(CreateRequest((ANN, CID)))

    assert answers.sent == [["ann@a.com", "cid@a.com"], ["ann@a.com"]]
    assert {one.row.number: one.sent_before for one in result.matched} == {1: True, 2: False}


def test_a_row_that_goes_out_a_third_time_is_still_known_to_have_been_sent() -> None:
    answers = Answers(
        BulkCreated([contact(CID)], []),
        BulkCreated([], [contact(ANN, email="other@a.com")]),
        BulkCreated([contact(ANN)], []),
    )

    result = bulk_create(answers).send(CreateRequest((ANN, CID)))

    assert answers.sent[1:] == [["ann@a.com"], ["ann@a.com"]]
    (ann,) = [one for one in result.matched if one.row.number == ANN.number]
    assert (ann.match, ann.row, ann.sent_before) == (Match.CREATED, ANN, True)


def test_where_apollo_would_make_a_second_record_no_row_is_sent_again() -> None:
    answers = Answers(BulkCreated([contact(CID)], []))

    result = bulk_create(answers, may_resend=False).send(CreateRequest((ANN, CID)))

    assert answers.sent == [["ann@a.com", "cid@a.com"]]
    matches = {one.row.number: one.match for one in result.matched}
    assert matches == {1: Match.UNCONFIRMED, 2: Match.CREATED}
