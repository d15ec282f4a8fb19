"""The errors that a request to Apollo can end with.

    ApolloError
      CredentialsRefused   401: the key or token is wrong
      EndpointForbidden    403: the key, the user or the plan does not reach this endpoint
      TeamRefused          a 4xx that says that the whole team is refused: no room, no plan, locked
        AllRefusedAlike    every record is refused with the same words, which name none of them
      RequestRefused       any other 3xx or 4xx: Apollo read the request and said no
      AnswerLost           no usable answer after all retries: the change may have been made
        JobStarted         a background job where the answer should be
      QuotaExhausted       the rate limit asks for a longer wait than the run allows
      RunStopped           the run was stopped before the request (or its next try) went out
      NoAccessToken        OAuth: no token to send the request with; nothing was sent

Every text is a sentence for the person who must act. Apollo's own text can hold personal data: it
is an attribute, for decisions and rejects. Only `team_refusals.words_without_values` of it are
part of `str()`.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Any

from target_apollo.apollo.endpoints import access_to
from target_apollo.apollo.team_refusals import lacks_plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from target_apollo.apollo.team_refusals import TeamRefusal

_APOLLO_ID = re.compile(r"\b[0-9a-f]{24}\b")
# Apollo's codes and field names. They hold no personal data, so a sentence may show them.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,79}")


class ApolloError(Exception):
    """A request to Apollo did not succeed, or its success is not confirmed.

    `endpoint` is the label of the endpoint ("POST /contacts/bulk_create"). `maybe_written`: Apollo
    may have carried out one try of this request although no answer came back. It can be true of
    every error of the family, since any error may follow a try whose answer was lost.
    """

    def __init__(self, sentence: str, *, endpoint: str, maybe_written: bool = False) -> None:
        super().__init__(sentence)
        self.endpoint = endpoint
        self.maybe_written = maybe_written


class CredentialsRefused(ApolloError):
    """Apollo answered 401: the key or token is missing, wrong, revoked or its user inactive.

    `status` may differ from 401 where the token endpoint refused; `setting` is the setting to mend.
    """

    def __init__(self, endpoint: str, *, setting: str, status: int = 401) -> None:
        advice = {
            "api_key": "check the setting api_key: it must be a current API key of an active user",
            "refresh_token": "log in again with `apollo-sync login`, or put a new token into the "
            "setting refresh_token; each one works once",
            "client_secret": "check the settings client_id and client_secret",
        }[setting]
        super().__init__(
            f"Apollo does not accept the credentials ({status} on {endpoint}): {advice}.",
            endpoint=endpoint,
        )
        self.setting = setting


class ForbiddenBy(enum.Enum):
    """What the credentials lack to use the endpoint."""

    SCOPE = "scope"
    PLAN = "plan"
    PERMISSION = "permission"


class EndpointForbidden(ApolloError):
    """Apollo answered 403, or another 4xx that says that the plan lacks the endpoint.

    `message` and `code` are Apollo's, `by` is what they mean.

    `key_entry` and `scope` are what a scoped API key and an OAuth token need for the endpoint.
    """

    def __init__(
        self, endpoint: str, *, message: str = "", code: str = "", status: int = 403
    ) -> None:
        access = access_to(endpoint)
        self.status = status
        self.message = message
        self.code = code
        self.key_entry = access.key_entry
        self.scope = access.scope
        self.by = _forbidden_by(message, code)
        super().__init__(self._sentence(endpoint), endpoint=endpoint)

    def _sentence(self, endpoint: str) -> str:
        key = f"the entry {self.key_entry}" if self.key_entry else "this endpoint"
        scope = f"the scope {self.scope}" if self.scope else "the scope of this endpoint"
        needed = f"an API key needs {key} in its list (or be a master key), an OAuth token {scope}"
        if self.by is ForbiddenBy.PLAN:
            return (
                f"Apollo's plan of this team does not include {endpoint} ({self.status}): upgrade "
                f"the plan, or use a team whose plan has it. If the plan does: {needed}."
            )
        if self.by is ForbiddenBy.SCOPE:
            return f"The credentials may not use {endpoint} (403): {needed}."
        return (
            f"Apollo does not permit {endpoint} (403): the user behind the credentials lacks the "
            f"permission, or the credentials the access: {needed}."
        )


class TeamRefused(ApolloError):
    """Apollo refuses all requests of the team, for a reason of `team_refusals.TEAM_REFUSALS`.

    `words` are Apollo's, without values of records.
    """

    def __init__(self, endpoint: str, *, status: int, refusal: TeamRefusal, words: str) -> None:
        self.status = status
        self.words = words
        super().__init__(
            f"Apollo refuses the whole team ({status} on {endpoint}): {refusal.because}. To go on, "
            f"{refusal.advice}, then run again.{_said(words)}",
            endpoint=endpoint,
        )


class AllRefusedAlike(ApolloError):
    """Apollo refused every record that was tried with the same words, which name none of them.

    `words` are Apollo's, without values of records.
    """

    def __init__(self, endpoint: str, *, status: int, words: str) -> None:
        self.status = status
        self.words = words
        super().__init__(
            f"Apollo refuses {endpoint} alike for all records ({status}), and names none of them "
            "and no field: the reason is the team, its plan or what all rows have in common, such "
            f"as a column that is mapped wrongly. Mend that, then run again.{_said(words)}",
            endpoint=endpoint,
        )


def _said(words: str) -> str:
    return f" Apollo's words: {words}" if words else ""


_INVALID_ID = "is not a valid id"
_MISSING_RECORD = (
    "does not exist",
    "has been deleted",
    "is deleted",
    _INVALID_ID,
    "not found",
)


class RequestRefused(ApolloError):
    """Apollo read the request and refused it with a 3xx or 4xx other than 401, 403, 408 and 429.

    `message` is Apollo's text (may hold personal data), `words` the same without values of the
    request, `code` its `error_code`, `details` its
    `error_details`, `deleted_ids` its `deleted_contact_ids`. `from_apollo`: the body is a JSON
    object, as in Apollo's refusals; the page of a proxy or of a wrong address is not.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        status: int,
        message: str = "",
        words: str = "",
        code: str = "",
        details: Mapping[str, Any] | None = None,
        deleted_ids: tuple[str, ...] = (),
        from_apollo: bool = True,
    ) -> None:
        self.status = status
        self.message = message
        self.words = words
        self.code = code
        self.details = dict(details or {})
        self.deleted_ids = deleted_ids
        self.from_apollo = from_apollo
        super().__init__(self._sentence(endpoint), endpoint=endpoint)

    @property
    def names_missing_record(self) -> bool:
        """Whether the refusal says that a record is missing or deleted, or that its id is invalid.

        Apollo answers 422 where others answer 404: "Oops! This contact does not exist in Apollo.",
        "This contact has been deleted.", "Cannot update contact as it is deleted.",
        "Parameters misconfigured. <value> is not a valid ID"; and of one record of a bulk request,
        in its details, "Contact not found". The text of the invalid ID may mean another id of
        the request (an owner's): compare `named_ids`. A 404 counts only with a body of Apollo's, so
        that a mistyped address or a proxy's page cannot make every record look deleted.
        """
        if self.deleted_ids:
            return True
        if self.status == 404:
            return self.from_apollo
        return self.status == 422 and self.says_missing

    @property
    def says_missing(self) -> bool:
        """Whether the words of the refusal say so, whatever its status."""
        return any(words in self._told for words in _MISSING_RECORD)

    @property
    def calls_an_id_invalid(self) -> bool:
        """Whether the refusal says that an id of the request, which may be any, is not valid."""
        return _INVALID_ID in self._told

    @property
    def _told(self) -> str:
        told = [self.message, *(text for text in self.details.values() if isinstance(text, str))]
        return " ".join(told).lower()

    @property
    def named_ids(self) -> tuple[str, ...]:
        """The Apollo ids (24 hex digits) that the refusal names, in order, without repetitions."""
        ids = [*self.deleted_ids, *_APOLLO_ID.findall(self.message.lower())]
        ids += [v.lower() for v in self.details.values() if _is_apollo_id(v)]
        return tuple(dict.fromkeys(ids))

    def _sentence(self, endpoint: str) -> str:
        if 300 <= self.status < 400:
            return (
                f"{endpoint} was answered with a redirect ({self.status}), which is not followed, "
                "since it would carry the credentials elsewhere: check the setting api_url."
            )
        if not self.from_apollo:
            return (
                f"{endpoint} was refused ({self.status}) by something that does not answer like "
                "Apollo: check the setting api_url and any proxy on the way."
            )
        parts = [f"code {self.code}"] if _CODE.fullmatch(self.code) else []
        field = self.details.get("field")
        if isinstance(field, str) and _CODE.fullmatch(field):
            parts.append(f"field {field}")
        if self.named_ids:
            parts.append("naming " + ", ".join(self.named_ids[:3]))
        if len(self.named_ids) > 3:
            parts.append(f"and {len(self.named_ids) - 3} more")
        summary = ", ".join([str(self.status), *parts])
        return f"Apollo refused {endpoint} ({summary}): look at the values that were sent."


def _is_apollo_id(value: object) -> bool:
    return isinstance(value, str) and _APOLLO_ID.fullmatch(value.lower()) is not None


def _forbidden_by(message: str, code: str) -> ForbiddenBy:
    """Tell the kinds of 403 apart: the plan first, since its answer can have the scope's code."""
    if lacks_plan(message):
        return ForbiddenBy.PLAN
    return ForbiddenBy.SCOPE if code == "API_INACCESSIBLE" else ForbiddenBy.PERMISSION


class AnswerLost(ApolloError):
    """No usable answer after `attempts` tries: connection, timeout, 408, 5xx or a useless 2xx.

    `reason` is a phrase without personal data ("answered 502", "not confirmed: …"). The change may
    have been made, except where `maybe_written` is false: then no try reached Apollo.
    """

    def __init__(
        self, endpoint: str, *, reason: str, attempts: int, maybe_written: bool = True
    ) -> None:
        self.attempts = attempts
        self.reason = reason
        tries = "1 try" if attempts == 1 else f"{attempts} tries"
        if maybe_written:
            sentence = (
                f"No usable answer from Apollo to {endpoint} after {tries} ({reason}): "
                "the request may have been carried out. It is safe to run again."
            )
        else:
            sentence = (
                f"Apollo could not be reached for {endpoint} after {tries} ({reason}): nothing was "
                "sent. Check the network, any proxy and the setting api_url, then run again."
            )
        super().__init__(sentence, endpoint=endpoint, maybe_written=maybe_written)


class JobStarted(AnswerLost):
    """Apollo answered with a background job; it documents no way to ask how a job ended."""


class AnotherRecord(AnswerLost):
    """Apollo answered a read or an update of one record with a record of another id."""


class QuotaExhausted(ApolloError):
    """The rate limit asks for a longer wait than is allowed, until `retry_at` (aware, UTC)."""

    def __init__(self, endpoint: str, *, retry_at: datetime) -> None:
        self.retry_at = retry_at
        super().__init__(
            f"Apollo's rate limit for {endpoint} is used up: run again after "
            f"{retry_at:%Y-%m-%d %H:%M:%S} UTC, or allow longer waits with max_wait_seconds.",
            endpoint=endpoint,
        )


class RunStopped(ApolloError):
    """The run was stopped before this request, or its next try, went out.

    Nothing was sent unless `maybe_written` says that an earlier try lost its answer.
    """

    def __init__(self, endpoint: str, *, maybe_written: bool = False) -> None:
        what = "the answer to" if maybe_written else "the sending of"
        super().__init__(
            f"The run was stopped while {what} {endpoint} was outstanding: run again to go on.",
            endpoint=endpoint,
            maybe_written=maybe_written,
        )


class NoAccessToken(ApolloError):
    """OAuth: there is no access token to send a request with, and the request was not sent.

    `sentence` says what is wrong with the token endpoint or the token file.
    """
