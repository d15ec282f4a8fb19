"""The endpoints of sequences, which Apollo's API calls emailer campaigns, and of mailboxes.

None of Apollo's guard flags, such as ``sequence_unverified_email``, is in any request: a contact
that Apollo would skip is not enrolled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from target_apollo.apollo import endpoints
from target_apollo.apollo.answers import is_id
from target_apollo.apollo.client import EndpointClient
from target_apollo.apollo.endpoints import MAX_BULK, MOST_PAGES, PER_PAGE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from target_apollo.apollo.answers import JSON

FINISH: Final = "mark_as_finished"
REMOVE: Final = "remove"


@dataclass(frozen=True)
class EmailSequence:
    """A sequence of the team."""

    id: str
    name: str
    is_active: bool
    is_archived: bool


@dataclass(frozen=True)
class Mailbox:
    """A mailbox from which the team's sequences send."""

    id: str
    email: str = field(repr=False)
    is_active: bool


@dataclass(frozen=True)
class Enrolled:
    """What Apollo answered to an enrolment.

    Attributes:
        joined: The contacts that have joined, by id.
        skipped: Id of a contact that has not -> Apollo's word for the reason.
        repeated: Whether an earlier try may have enrolled contacts that are skipped now.
    """

    joined: Mapping[str, JSON] = field(repr=False)
    skipped: Mapping[str, str]
    repeated: bool = False


class SequenceClient(EndpointClient):
    """Requests about sequences."""

    def sequences(self) -> Iterator[EmailSequence]:
        """Yield all sequences of the team: POST /emailer_campaigns/search, 100 a page."""
        page, pages = 1, 1
        while page <= min(pages, MOST_PAGES):
            params = {"page": page, "per_page": PER_PAGE}
            body = self._send(endpoints.SEARCH_SEQUENCES, params=params)
            found = body.records("emailer_campaigns")
            pages = body.paging(page, PER_PAGE).pages
            for one in found:
                yield EmailSequence(
                    one["id"],
                    body.name(one, "name"),
                    is_active=one.get("active") is True,
                    is_archived=one.get("archived") is True,
                )
            page += 1

    def mailboxes(self) -> list[Mailbox]:
        """Return all mailboxes of the team: GET /email_accounts, which is not paged."""
        body = self._send(endpoints.MAILBOXES)
        return [
            Mailbox(one["id"], body.text(one, "email"), is_active=one.get("active") is True)
            for one in body.records("email_accounts")
        ]

    def enrol(
        self,
        sequence_id: str,
        contact_ids: Sequence[str],
        mailbox_id: str,
        *,
        status: str | None = None,
        auto_unpause_at: str | None = None,
    ) -> Enrolled:
        """Enrol at most 100 contacts: POST /emailer_campaigns/{id}/add_contact_ids.

        Apollo answers 200 also if nobody joins. A contact counts as joined if the answer has it,
        does not call it skipped, and the contact does not deny it.
        """
        _check(sequence_id, contact_ids)
        params = {
            "emailer_campaign_id": sequence_id,
            # A list, which is sent as repeated parameters: ids in one text enrol nobody.
            "contact_ids[]": list(contact_ids),
            "send_email_from_email_account_id": mailbox_id,
            **({"status": status} if status else {}),
            **({"auto_unpause_at": auto_unpause_at} if auto_unpause_at else {}),
        }
        body = self._send(endpoints.ADD_TO_SEQUENCE, params=params, record_id=sequence_id)
        sequence = body.whole().get("emailer_campaign")
        if isinstance(sequence, dict) and sequence.get("id") not in (None, sequence_id):
            raise body.lost("the answer is about another sequence")
        told = body.whole().get("skipped_contact_ids")
        skipped = {
            contact_id: str(word)
            for contact_id, word in (told if isinstance(told, dict) else {}).items()
            if contact_id in contact_ids
        }
        may_have_joined = {*contact_ids} - skipped.keys()
        joined = {
            contact["id"]: contact
            for contact in body.confirmed("contacts")[0]
            if contact["id"] in may_have_joined and status_in(contact, sequence_id) is not False
        }
        return Enrolled(joined, skipped, repeated=body.attempts > 1)

    def leave(self, sequence_id: str, contact_ids: Sequence[str], mode: str) -> frozenset[str]:
        """Finish or remove at most 100 contacts; return those of which the answer confirms it.

        POST /emailer_campaigns/remove_or_stop_contact_ids, with `FINISH` or `REMOVE`. Apollo
        answers 200 for a sequence or contact that does not exist too.

        Raises:
            JobStarted: Apollo does the work in a background job instead.
        """
        _check(sequence_id, contact_ids)
        params = {
            "emailer_campaign_ids[]": [sequence_id],
            "contact_ids[]": list(contact_ids),
            "mode": mode,
        }
        body = self._send(endpoints.LEAVE_SEQUENCES, params=params)
        contacts = body.confirmed("contacts")[0]
        asked = {*contact_ids}
        return frozenset(
            contact["id"]
            for contact in contacts
            if contact["id"] in asked and has_left(contact, sequence_id)
        )


def _check(sequence_id: str, contact_ids: Collection[str]) -> None:
    if not 1 <= len(contact_ids) <= MAX_BULK:
        raise ValueError(f"A request takes 1 to {MAX_BULK} contacts, not {len(contact_ids)}.")
    # An odd id would reach another endpoint.
    if not is_id(sequence_id):
        raise ValueError("This is no id of a sequence.")


def status_in(contact: JSON, sequence_id: str) -> JSON | bool | None:
    """Return the status of a contact in a sequence, as an answer of Apollo shows it.

    False: it is not in the sequence. None: the answer does not tell. True: it is, and the answer
    does not tell how.
    """
    statuses, ids = contact.get("contact_campaign_statuses"), contact.get("emailer_campaign_ids")
    for one in statuses if isinstance(statuses, list) else ():
        if isinstance(one, dict) and one.get("emailer_campaign_id") == sequence_id:
            return one
    if isinstance(ids, list) and sequence_id in ids:
        return True
    return False if isinstance(statuses, list) or isinstance(ids, list) else None


def has_left(contact: JSON, sequence_id: str) -> bool:
    """Return whether an answer of Apollo shows that a contact gets no more of a sequence."""
    status = status_in(contact, sequence_id)
    if isinstance(status, dict):
        return status.get("status") == "finished"
    return status is False
