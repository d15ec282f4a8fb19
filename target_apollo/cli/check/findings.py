"""What a check has found: each endpoint's access and quota, and the verdict on all of it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from target_apollo.apollo import ForbiddenBy, Profile, Window, Windows, access_to
from target_apollo.cli.check.needs import Need
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
