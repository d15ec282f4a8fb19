"""Asks Apollo what a sync with these settings may do, without writing anything.

The result is a `Check`, whose `verdict` is the exit code of the command and a sentence.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from target_apollo.apollo import (
    AnswerLost,
    ApolloClient,
    ApolloError,
    CredentialsRefused,
    EndpointForbidden,
    ForbiddenBy,
    NoAccessToken,
    Profile,
    QuotaExhausted,
    RequestRefused,
    Transport,
    Window,
    Windows,
    access_to,
    endpoints,
)
from target_apollo.cli.check.needs import ELSE_ASKED, PROBES, Need, modes_of, needs_of
from target_apollo.config.credentials import auth_of
from target_apollo.config.settings import Settings
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.model.rows import Mode
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, OUT_OF_QUOTA
from target_apollo.sync.remarks import Remark, Weight
from target_apollo.sync.words import plural


class Access(enum.Enum):
    """Whether the credentials may use an endpoint."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    #: 429: only a request after the window's end can tell whether they may.
    EXHAUSTED = "out of quota"
    #: No usable answer, or one that does not come from Apollo.
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Finding:
    """The result of one endpoint's probe.

    Attributes:
        endpoint: The label of the endpoint that answered (PUT where PATCH is no route).
        forbidden_by: What the credentials lack, where the endpoint is forbidden.
        wait_seconds: How long a run would wait for quota now; 0 where some is left. If Apollo does
            not say when the window ends, it is the window's whole length.
        retry_at: When Apollo takes requests again, if it says so (aware, UTC).
        detail: A sentence on what is unclear.
        oauth: Whether the request had an OAuth 2.0 token instead of an API key.
    """

    need: Need
    endpoint: str
    access: Access
    forbidden_by: ForbiddenBy | None = None
    windows: Windows = field(default_factory=Windows)
    wait_seconds: float = 0.0
    retry_at: datetime | None = None
    detail: str = ""
    oauth: bool = False

    @property
    def remedy(self) -> str:
        """What the user must do to make a forbidden endpoint usable."""
        access = access_to(self.endpoint)
        if self.forbidden_by is ForbiddenBy.PLAN:
            return "Apollo's plan of this team does not include it"
        grant = f"add {access.key_entry} to the key's list"
        if self.oauth:
            grant = f"give the app the scope {access.scope} and log in again"
        if self.forbidden_by is ForbiddenBy.PERMISSION:
            whose = "the user who logged in" if self.oauth else "the key's user"
            return f"give {whose} the permission in Apollo, or {grant}"
        return grant


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes:
        modes: The modes in which each object is written.
        max_wait_seconds: The longest wait of a run for quota.
        oauth: Whether the settings have OAuth 2.0 instead of an API key.
        key_valid: Whether Apollo knows the credentials; None: not found out.
        profile: Team and user; None where the key may not read them.
        findings: The results of the probes.
        problem: Exit code and sentence of the problem that ended the check early.
        remarks: What a run would refuse or warn of for its settings and streams.
    """

    api_url: str
    modes: Mapping[ObjectKind, frozenset[Mode]]
    max_wait_seconds: float
    oauth: bool = False
    key_valid: bool | None = None
    profile: Profile | None = None
    findings: tuple[Finding, ...] = ()
    problem: tuple[int, str] | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def faults(self) -> list[Remark]:
        """The remarks that would end a run."""
        return [one for one in self.remarks if one.weight is Weight.FAULT]

    @property
    def warnings(self) -> list[Remark]:
        """The remarks with which a run would go on."""
        return [one for one in self.remarks if one.weight is Weight.WARNING]

    @property
    def verdict(self) -> tuple[int, str]:
        """Exit code and sentence. Problems that a person must solve come before used-up quota.

        0 usable, 2 wrong key or settings, 3 out of quota for longer than a run waits, 1 else.
        """
        if self.problem is not None:
            return self.problem
        required = [finding for finding in self.findings if finding.need.required]
        forbidden = [finding for finding in required if finding.access is Access.FORBIDDEN]
        if forbidden:
            return MISCONFIGURED, _not_usable(forbidden)
        if self.faults:
            return MISCONFIGURED, (
                f"Not usable: {plural(len(self.faults), 'fault')} would end a run or reject its "
                "rows. Mend what is listed, then check again."
            )
        exhausted = [
            finding for finding in required if finding.wait_seconds > self.max_wait_seconds
        ]
        if exhausted:
            return OUT_OF_QUOTA, _out_of_quota(exhausted)
        unclear = [finding for finding in required if finding.access is Access.UNCLEAR]
        if unclear:
            return FAILED, f"Not clear: {unclear[0].detail}"
        wait = max((finding.wait_seconds for finding in required), default=0.0)
        if wait:
            return OK, (
                f"Usable; a run that starts now waits up to {wait:.0f} s for quota, which "
                "max_wait_seconds allows."
            )
        if self.warnings:
            return OK, f"Usable, with {plural(len(self.warnings), 'warning')}."
        return OK, "Usable."


def _not_usable(forbidden: Sequence[Finding]) -> str:
    oauth = any(finding.oauth for finding in forbidden)
    what = "token" if oauth else "key"
    sentences = [f"Not usable: the {what} may not use {_endpoints(forbidden)}."]
    plan = [finding for finding in forbidden if finding.forbidden_by is ForbiddenBy.PLAN]
    if plan:
        sentences.append(f"Apollo's plan of this team does not include {_endpoints(plan)}.")
    lacking = [access_to(finding.endpoint) for finding in forbidden if finding not in plan]
    if lacking and oauth:
        named = ", ".join(sorted({access.scope or "" for access in lacking} - {""}))
        sentences.append(
            f"Give the app the scopes {named} in Apollo, then run `apollo-sync login`."
        )
    elif lacking:
        named = ", ".join(sorted({access.key_entry or "" for access in lacking} - {""}))
        sentences.append(f"Add {named} to the key's list in Apollo, or use a master key.")
    return " ".join(sentences)


def _out_of_quota(exhausted: Sequence[Finding]) -> str:
    latest = max(exhausted, key=lambda finding: finding.wait_seconds)
    when = (
        f"in at most {latest.wait_seconds / 60:.0f} minutes"
        if latest.retry_at is None
        else f"after {latest.retry_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    return f"Out of quota for {_endpoints(exhausted)}: run again {when}."


def _endpoints(findings: Sequence[Finding]) -> str:
    return ", ".join(finding.endpoint for finding in findings)


def lower_of(one: Windows, other: Windows) -> Windows:
    """The windows of an endpoint from two sources: for each window, the source with less left.

    Rate headers are as old as the last answer, and the numbers of the statistics do not always add
    up. The smaller number is the safer one to plan a run with.
    """
    return Windows(
        minute=_lower(one.minute, other.minute),
        hour=_lower(one.hour, other.hour),
        day=_lower(one.day, other.day),
    )


def _lower(one: Window, other: Window) -> Window:
    if one.left is None or other.left is None:
        return one if one.known and (one.left is not None or not other.known) else other
    return one if one.left <= other.left else other


# Short, since somebody waits for the check, and a full window is a result of the check too.
_TIMEOUT_SECONDS = 10.0

_MAX_RETRIES = 1

_MAX_WAIT_SECONDS = 1.0
#: After so many probes in a row without an answer, no more are sent.
_LOST_IN_A_ROW = 3


def check_connection(settings: Settings, kinds: Collection[ObjectKind]) -> Check:
    """Finds out what a sync of these objects may do with the settings' credentials.

    Sends about 15 requests, one after another, none of which changes anything (`PROBES`).

    Raises:
        SettingsError: The key has characters that can't be sent, or there is no OAuth token.
    """
    stop = threading.Event()
    transport = Transport(
        api_url=settings.api_url,
        auth=auth_of(settings, stop),
        max_retries=_MAX_RETRIES,
        request_timeout_seconds=min(settings.request_timeout_seconds, _TIMEOUT_SECONDS),
        max_wait_seconds=_MAX_WAIT_SECONDS,
        parallel_requests=1,
        stop=stop,
    )
    check = Check(
        api_url=settings.api_url,
        modes={kind: modes_of(settings, kind) for kind in ObjectKind if kind in kinds},
        max_wait_seconds=settings.max_wait_seconds,
        oauth=settings.api_key is None,
    )
    try:
        check = replace(check, **vars(_identify(ApolloClient(transport), tuple(check.modes))))
        if check.problem is None:
            check = _with_findings(check, transport, needs_of(settings, kinds))
        return check
    finally:
        transport.close()


@dataclass
class _Identity:
    """The part of a `Check` that tells the user and team of the credentials."""

    key_valid: bool | None = None
    profile: Profile | None = None
    findings: tuple[Finding, ...] = ()
    problem: tuple[int, str] | None = None


def _identify(client: ApolloClient, kinds: tuple[ObjectKind, ...]) -> _Identity:
    # Every run begins with this request. A 403 does not end the run, since a key that may not read
    # its user may still be allowed to write. Every other error does.
    endpoint = endpoints.PROFILE
    need = Need(endpoint, kinds, required=True)
    try:
        return _Identity(
            key_valid=True,
            profile=client.profile(),
            findings=(Finding(need, endpoint, Access.ALLOWED),),
        )
    except CredentialsRefused as refusal:
        return _Identity(key_valid=False, problem=(MISCONFIGURED, str(refusal)))
    except NoAccessToken as problem:
        return _Identity(problem=(FAILED, str(problem)))
    except EndpointForbidden as refusal:
        if not refusal.message and not refusal.code:
            # Each 403 of Apollo has a message or code. This one is a firewall's, which says nothing
            # about the key.
            return _by_health(client, refusal)
        need = Need(endpoint, kinds, required=False, only_for="the team's id")
        finding = Finding(need, endpoint, Access.FORBIDDEN, refusal.by)
        return _Identity(key_valid=True, findings=(finding,))
    except QuotaExhausted as exhausted:
        # Apollo checks the key before it counts the request, so a wrong key never gets a 429.
        return _Identity(key_valid=True, findings=(_exhausted(need, endpoint, exhausted),))
    except (RequestRefused, AnswerLost) as problem:
        if isinstance(problem, AnswerLost) and not problem.maybe_written:
            return _Identity(problem=(FAILED, str(problem)))
        return _by_health(client, problem)


def _by_health(client: ApolloClient, problem: ApolloError) -> _Identity:
    """Whether Apollo knows the credentials, by ``GET /auth/health``, where there is no profile.

    A run can't work even with a valid key here, since its first request, for the profile, fails.

    Args:
        problem: Why there is no profile.
    """
    try:
        is_logged_in = client.health()
    except ApolloError:
        if isinstance(problem, AnswerLost):
            return _Identity(problem=(FAILED, str(problem)))
        sentence = "Nothing at this address answers as Apollo does: check the setting api_url."
        return _Identity(problem=(FAILED, sentence))
    if is_logged_in:
        return _Identity(key_valid=True, problem=(FAILED, f"The key is valid, but: {problem}"))
    return _Identity(
        key_valid=False,
        problem=(
            MISCONFIGURED,
            f"Apollo does not know the credentials ({endpoints.HEALTH} says that nobody is logged "
            "in): check the setting api_key, or log in again with `apollo-sync login`.",
        ),
    )


def _with_findings(check: Check, transport: Transport, needs: tuple[Need, ...]) -> Check:
    findings = list(check.findings)
    problem: tuple[int, str] | None = None
    lost = 0
    for need in needs:
        try:
            findings.append(_probe(transport, need, need.endpoint))
            lost = 0
        except AnswerLost as error:
            lost += 1
            findings.append(Finding(need, need.endpoint, Access.UNCLEAR, detail=str(error)))
            if lost == _LOST_IN_A_ROW or not error.maybe_written:
                problem = (FAILED, str(error))
                break
        except CredentialsRefused as refusal:
            # Somebody revoked the credentials between two requests.
            return replace(check, key_valid=False, problem=(MISCONFIGURED, str(refusal)))
        except NoAccessToken as missing:
            return replace(check, problem=(FAILED, str(missing)))
    usage = {} if problem else _usage(transport)
    quota = transport.quota
    return replace(
        check,
        findings=tuple(
            _with_quota(
                replace(finding, oauth=check.oauth),
                lower_of(usage.get(finding.endpoint, Windows()), quota.of(finding.endpoint)),
            )
            for finding in findings
        ),
        problem=problem,
    )


def _probe(transport: Transport, need: Need, endpoint: str) -> Finding:
    """Sends an endpoint's probe and returns its result.

    Raises:
        AnswerLost: There was no usable answer.
        CredentialsRefused: The key is no longer accepted.
    """
    probe = PROBES[endpoint]
    try:
        transport.send(probe.request)
    except EndpointForbidden as refusal:
        return Finding(need, endpoint, Access.FORBIDDEN, refusal.by)
    except QuotaExhausted as exhausted:
        return _exhausted(need, endpoint, exhausted)
    except RequestRefused as refusal:
        if refusal.status in (404, 405) and endpoint in ELSE_ASKED:
            other = _probe(transport, need, ELSE_ASKED[endpoint])
            # Where the other one is no route either, a 404 was about the record that is missing.
            if refusal.status != 404 or other.access is not Access.UNCLEAR:
                return other
        if not probe.may_use(refusal):
            detail = (
                f"{endpoint} was answered with {refusal.status}, which Apollo does not do: check "
                "the setting api_url and any proxy on the way."
            )
            return Finding(need, endpoint, Access.UNCLEAR, detail=detail)
    return Finding(need, endpoint, Access.ALLOWED)


def _exhausted(need: Need, endpoint: str, exhausted: QuotaExhausted) -> Finding:
    wait = (exhausted.retry_at - datetime.now(timezone.utc)).total_seconds()
    return Finding(
        need,
        endpoint,
        Access.EXHAUSTED,
        wait_seconds=max(wait, 1.0),
        retry_at=exhausted.retry_at,
    )


def _usage(transport: Transport) -> Mapping[str, Windows]:
    """Endpoint -> its rate limits by Apollo's statistics; empty where the key may not read them."""
    try:
        return ApolloClient(transport).usage()
    except ApolloError:
        return {}


def _with_quota(finding: Finding, windows: Windows) -> Finding:
    if finding.access is Access.FORBIDDEN:
        return finding
    wait = finding.wait_seconds or windows.longest_exhausted or 0.0
    return replace(finding, windows=windows, wait_seconds=wait)
