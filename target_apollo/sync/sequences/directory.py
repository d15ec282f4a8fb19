"""Looks up the sequences and mailboxes that rows name, each list at most once per stream and run.

A row of a sequence that `allow_sequences` does not name is rejected before any request.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from target_apollo.apollo import EmailSequence, Mailbox, SequenceClient
from target_apollo.model.objects.sequence_member import MAILBOX, SEQUENCE
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.emails import compared
from target_apollo.model.texts.spelling import folded, no_such


class SequenceDirectory:
    """The sequences and mailboxes of a team.

    Args:
        allowed: The setting `allow_sequences`.
    """

    def __init__(self, client: SequenceClient, allowed: Sequence[str]) -> None:
        self._client = client
        self._allowed = {folded(one) for one in allowed}

    @cached_property
    def _sequences(self) -> list[EmailSequence]:
        return list(self._client.sequences())

    @cached_property
    def _mailboxes(self) -> dict[str, Mailbox]:
        return {compared(one.email): one for one in self._client.mailboxes()}

    def check_allowed(self, written: str) -> None:
        """Checks that a row's sequence is one into which a sync may enrol; asks nobody.

        Raises:
            RecordError: It is not.
        """
        if folded(written) in self._allowed:
            return
        if not self._allowed:
            why = "the setting 'allow_sequences' names no sequence, so nobody is enrolled"
        else:
            why = (
                f"the setting 'allow_sequences' does not have what the row has in '{SEQUENCE}', "
                "by the same name or id"
            )
        raise RecordError(
            Reason.SEQUENCE_NOT_ALLOWED,
            f"{why}: sequences send e-mail to people, so each one must be named there",
        )

    def allows(self, sequence_id: str) -> bool:
        """Whether `allow_sequences` names a sequence, by its name or id.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        if folded(sequence_id) in self._allowed:
            return True
        names = [folded(one.name) for one in self._sequences if one.id == sequence_id]
        return any(name in self._allowed for name in names)

    def name_of(self, sequence_id: str) -> str:
        """The name of a sequence; its id if Apollo does not have it any more.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        return next((one.name for one in self._sequences if one.id == sequence_id), sequence_id)

    def sequence(self, written: str) -> EmailSequence:
        """The sequence that a row names, by id or name.

        Raises:
            RecordError: There is none, there are several, or it is not active.
            ApolloError: Apollo could not be asked.
        """
        found = [one for one in self._sequences if one.id == written]
        found = found or [one for one in self._sequences if one.name == written]
        found = found or [one for one in self._sequences if folded(one.name) == folded(written)]
        live = [one for one in found if not one.is_archived]
        if not found:
            known = [one.name for one in self._sequences if not one.is_archived]
            raise RecordError(Reason.UNKNOWN_NAME, no_such("sequence", SEQUENCE, written, known))
        if not live:
            raise RecordError(
                Reason.INACTIVE, f"the sequence in '{SEQUENCE}' is archived in Apollo"
            )
        if len(live) > 1:
            ids = ", ".join(one.id for one in live[:5])
            raise RecordError(
                Reason.UNKNOWN_NAME,
                f"Apollo has several sequences of the name in '{SEQUENCE}': put the id of one in "
                f"its place, and into the setting 'allow_sequences' ({ids})",
            )
        if not live[0].is_active:
            raise RecordError(
                Reason.INACTIVE,
                f"the sequence in '{SEQUENCE}' is not active in Apollo: activate it there first",
            )
        return live[0]

    def mailbox(self, written: str) -> Mailbox:
        """The mailbox that a row names by its address.

        Raises:
            RecordError: There is none, or it is not active.
            ApolloError: Apollo could not be asked.
        """
        found = self._mailboxes.get(compared(written))
        if found is None:
            raise RecordError(
                Reason.UNKNOWN_NAME,
                f"no mailbox that is linked to Apollo has the address in '{MAILBOX}': correct it, "
                "or link that mailbox",
            )
        if not found.is_active:
            raise RecordError(
                Reason.INACTIVE,
                f"the mailbox in '{MAILBOX}' ({found.id}) is not active in Apollo: link it again",
            )
        return found
