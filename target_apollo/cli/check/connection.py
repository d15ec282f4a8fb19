"""Asks Apollo what a sync with these settings may do, without writing anything.

The result is a `Check`, whose `verdict` is the exit code of the command and a sentence.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from target_apollo.apollo import (
    AnswerLost,
    ApolloClient,
    ApolloError,
    CredentialsRefused,
    EndpointForbidden,
    NoAccessToken,
    Profile,
    QuotaExhausted,
    RequestRefused,
    Transport,
    Windows,
    endpoints,
)
from target_apollo.cli.check.findings import Access, Check, Finding, lower_of
from target_apollo.cli.check.needs import ELSE_ASKED, PROBES, Need, modes_of, needs_of
from target_apollo.config.credentials import auth_of
from target_apollo.config.settings import Settings
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sync.exit import FAILED, MISCONFIGURED

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
