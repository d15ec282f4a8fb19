"""Sends bulk_create requests, and rows again that Apollo refused or left out of its answer.

A request is sent in a thread of the pool, which shares only the API client with others. What the
result means for the rows of a batch, `create` decides in the thread of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from msgspec.structs import replace as with_values

from target_apollo.apollo import AnotherRecord, ApolloClient, BulkCreated, RequestRefused
from target_apollo.model.match_keys import is_matched_on_creation, keys, keys_of_record
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.creates.match import Match, RowMatch, has_address, match_answers
from target_apollo.sync.records.plan import CreateRequest
from target_apollo.sync.refusals import CUSTOM_FIELD_ERRORS, SplitRequest, send_in_parts


@dataclass
class CreateResult:
    """The rows of a request: each is matched to an answer, unconfirmed, or refused."""

    matched: list[RowMatch] = field(default_factory=list)
    refused: list[tuple[Row, RequestRefused]] = field(default_factory=list)


@dataclass(frozen=True)
class BulkCreate:
    """Sends the requests of one stream.

    Attributes:
        creates_namesakes: Whether a row that Apollo matches with a record of the same name and
            another address is sent again, to get a record of its own.
        may_resend: Whether Apollo recognises the second time what it has created. Otherwise rows
            that an answer leaves out are left to the next run, which looks for their records.
        hidden_kinds: Kinds of the rows' keys by which bulk_create finds no record.
    """

    client: ApolloClient
    object_type: ObjectType
    creates_namesakes: bool
    may_resend: bool
    hidden_kinds: frozenset[str]

    def send(self, request: CreateRequest) -> CreateResult:
        """Sends a request, and its rows again where that may give them a record.

        Raises:
            ApolloError: The run can't go on.
        """
        result = self._send_until_answered(request)
        conflicts = [one for one in result.matched if one.match is Match.CONFLICT]
        if conflicts:
            result = self._with_one_address(request, result)
        if conflicts and self.creates_namesakes:
            self._create_namesakes(request, result)
        return result

    def send_and_shorten(self, request: CreateRequest) -> CreateResult:
        """The same, but of finished records it keeps only what their outcome needs.

        All answers of a batch may be in memory at once, and each needs several times the memory of
        its row.

        Raises:
            ApolloError: The run can't go on.
        """
        result = self.send(request)
        result.matched = [
            with_values(m, answer=_outcome_part(m.answer))
            if m.match is Match.CREATED
            and m.answer is not None
            and request.has_all_values(self.object_type, m.row)
            else m
            for m in result.matched
        ]
        return result

    def _send_until_answered(self, request: CreateRequest) -> CreateResult:
        """Sends a request in parts if Apollo refuses it, and again what an answer leaves out."""

        def send(rows: Sequence[Row]) -> BulkCreated:
            return self._send_once(replace(request, rows=tuple(rows)))

        try:
            parts = SplitRequest([(request.rows, send(request.rows))])
        except RequestRefused as refusal:
            parts = send_in_parts(self.object_type, request.rows, refusal, send)
        result = CreateResult(refused=parts.refused)
        unanswered: list[tuple[Row, ...]] = []
        for rows, answer in parts.answered:
            found = match_answers(self.object_type, rows, answer.created, answer.existing)
            # A refused request may have created the rows before its bad row.
            if answer.repeated or len(rows) < len(request.rows):
                found = [with_values(m, sent_before=True) for m in found]
            again = self._to_send_again(rows, found)
            if again and len(again) == len(rows):
                # No record came back: sent again in halves, so that each request is smaller.
                unanswered += [again[: len(rows) // 2], again[len(rows) // 2 :]]
            elif again:
                unanswered.append(again)
            result.matched += [
                self._look_closer(m) if m.match is Match.CONFLICT else m
                for m in found
                if m.match is not Match.UNCONFIRMED or m.row not in again
            ]
        for rows in unanswered:
            # Safe to send again: with run_dedupe Apollo answers with the records that it made.
            later = self._send_until_answered(replace(request, rows=rows))
            result.matched += [with_values(m, sent_before=True) for m in later.matched]
            result.refused += later.refused
        return result

    def _send_once(self, request: CreateRequest) -> BulkCreated:
        # Whether the request may go out again after an answer that was lost.
        may_repeat = not self.hidden_kinds or all(
            is_matched_on_creation(self.object_type, row) for row in request.rows
        )
        return self.client.create(
            self.object_type.endpoints,
            request.items(self.object_type),
            owner_id=request.owner_id,
            may_repeat=may_repeat,
        )

    def _to_send_again(self, rows: Sequence[Row], found: Sequence[RowMatch]) -> tuple[Row, ...]:
        """The unconfirmed rows of a request that are sent once more."""
        if len(rows) == 1 or not self.may_resend:
            # What was sent alone would get the same answer again.
            return ()
        # Only rows that Apollo recognises the second time.
        return tuple(
            m.row
            for m in found
            if m.match is Match.UNCONFIRMED and is_matched_on_creation(self.object_type, m.row)
        )

    def _look_closer(self, matched: RowMatch) -> RowMatch:
        """Reads a record that seems to share only the name, if its answer lacks other e-mails."""
        answer, hidden = matched.answer, self.object_type.more_emails
        if answer is None or hidden is None or hidden in answer:
            return matched
        try:
            whole = self.client.read(self.object_type.endpoints, str(answer["id"]))
        except AnotherRecord:
            return matched
        if not set(keys_of_record(self.object_type, whole)).isdisjoint(keys(matched.row)):
            return with_values(matched, match=Match.EXISTING, answer=whole)
        return matched

    def _with_one_address(self, request: CreateRequest, result: CreateResult) -> CreateResult:
        """Sends rows that Apollo matched with another record again, without additional e-mails.

        So no row is rejected because two people share an additional address.
        """
        whole = {
            m.row.number: m
            for m in result.matched
            if m.match is Match.CONFLICT and m.row.more_emails
        }
        if not whole or request.identity_only:
            return result
        rows = tuple(with_values(m.row, more_emails=()) for m in whole.values())
        again = self._send_until_answered(replace(request, rows=rows))
        return CreateResult(
            matched=[m for m in result.matched if m.row.number not in whole]
            + [
                with_values(
                    m,
                    row=(former := whole[m.row.number]).row,
                    sent_before=m.sent_before or former.sent_before,
                )
                for m in again.matched
            ],
            refused=result.refused
            + [(whole[row.number].row, refusal) for row, refusal in again.refused],
        )

    def _create_namesakes(self, request: CreateRequest, result: CreateResult) -> None:
        """Creates rows although a record with the same name exists.

        No record has their address or CRM id: Apollo compares these before names, and matched by
        name.
        """
        namesakes = tuple(
            one.row
            for one in result.matched
            if one.match is Match.CONFLICT and not has_address(self.object_type, one)
        )
        if not namesakes:
            return
        alone = replace(request, rows=namesakes, own_addresses=frozenset())
        try:
            answer = self.client.create(
                self.object_type.endpoints,
                alone.items(self.object_type),
                owner_id=request.owner_id,
                run_dedupe=False,
            )
        except RequestRefused:
            # The rows stay conflicts. A search for the bad row could create duplicates.
            return
        made = match_answers(self.object_type, namesakes, answer.created, answer.existing)
        by_number = {one.row.number: one for one in made if one.match is Match.CREATED}
        result.matched = [by_number.get(one.row.number, one) for one in result.matched]


def _outcome_part(answer: Json) -> Json:
    """The part of a created record's answer that its row's outcome needs."""
    if answer.get(CUSTOM_FIELD_ERRORS):
        return answer
    return {name: answer[name] for name in ("id", "updated_at") if name in answer}
