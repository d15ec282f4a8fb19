"""What a check found, and the verdict that follows from it: exit code and sentence. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from target_apollo.apollo import ForbiddenBy, Profile, Window, Windows, access_to
from target_apollo.cli.check.needs import Need
from target_apollo.model.objects import ObjectKind
from target_apollo.model.rows import Mode
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, OUT_OF_QUOTA


class Standing(enum.Enum):
    """How the credentials stand with an endpoint."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    #: 429: whether they may use it shows when the window has ended.
    EXHAUSTED = "out of quota"
    #: No usable answer, or one that Apollo does not give.
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Finding:
    """What one endpoint's probe showed.

    Attributes:
        endpoint: The label of the one that answered (PATCH where PUT is no route).
        forbidden_by: What stands in the way, where it is forbidden.
        wait_seconds: How long a run would wait for quota now; 0 where some is left. Where Apollo
            does not say when the window ends, it is the window's whole length.
        retry_at: When Apollo takes requests again, where it said so (aware, UTC).
        detail: A sentence on what is unclear.
        oauth: Whether a token of OAuth 2.0 was asked with, and no API key.
    """

    need: Need
    endpoint: str
    standing: Standing
    forbidden_by: ForbiddenBy | None = None
    windows: Windows = field(default_factory=Windows)
    wait_seconds: float = 0.0
    retry_at: datetime | None = None
    detail: str = ""
    oauth: bool = False

    @property
    def remedy(self) -> str:
        """What makes a forbidden endpoint usable."""
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
    """What a check found out.

    Attributes:
        modes: The modes in which each object is written.
        oauth: Whether OAuth 2.0 is used, and no API key.
        key_valid: Whether Apollo knows the key; None where that could not be found out.
        profile: Team and user; None where the key may not ask who it is.
        problem: What kept the check from coming to its end, as exit code and sentence.
        max_wait_seconds: The longest wait for quota that a run sleeps through.
    """

    api_url: str
    modes: Mapping[ObjectKind, frozenset[Mode]]
    max_wait_seconds: float
    oauth: bool = False
    key_valid: bool | None = None
    profile: Profile | None = None
    findings: tuple[Finding, ...] = ()
    problem: tuple[int, str] | None = None

    @property
    def verdict(self) -> tuple[int, str]:
        """Exit code and sentence: what somebody must mend counts before what time mends.

        0 usable, 2 wrong key or settings, 3 out of quota for longer than a run waits, 1 else.
        """
        if self.problem is not None:
            return self.problem
        required = [found for found in self.findings if found.need.required]
        forbidden = [found for found in required if found.standing is Standing.FORBIDDEN]
        if forbidden:
            return MISCONFIGURED, _not_usable(forbidden)
        exhausted = [found for found in required if found.wait_seconds > self.max_wait_seconds]
        if exhausted:
            return OUT_OF_QUOTA, _out_of_quota(exhausted)
        unclear = [found for found in required if found.standing is Standing.UNCLEAR]
        if unclear:
            return FAILED, f"Not clear: {unclear[0].detail}"
        wait = max((found.wait_seconds for found in required), default=0.0)
        if wait:
            return OK, (
                f"Usable; a run that starts now waits up to {wait:.0f} s for quota, which "
                "max_wait_seconds allows."
            )
        return OK, "Usable."


def _not_usable(forbidden: Sequence[Finding]) -> str:
    oauth = any(found.oauth for found in forbidden)
    what = "token" if oauth else "key"
    said = [f"Not usable: the {what} may not use {_endpoints(forbidden)}."]
    plan = [found for found in forbidden if found.forbidden_by is ForbiddenBy.PLAN]
    if plan:
        said.append(f"Apollo's plan of this team does not include {_endpoints(plan)}.")
    lacking = [access_to(found.endpoint) for found in forbidden if found not in plan]
    if lacking and oauth:
        named = ", ".join(sorted({access.scope or "" for access in lacking} - {""}))
        said.append(f"Give the app the scopes {named} in Apollo, then run `apollo-sync login`.")
    elif lacking:
        named = ", ".join(sorted({access.key_entry or "" for access in lacking} - {""}))
        said.append(f"Add {named} to the key's list in Apollo, or use a master key.")
    return " ".join(said)


def _out_of_quota(exhausted: Sequence[Finding]) -> str:
    latest = max(exhausted, key=lambda found: found.wait_seconds)
    when = (
        f"in at most {latest.wait_seconds / 60:.0f} minutes"
        if latest.retry_at is None
        else f"after {latest.retry_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    return f"Out of quota for {_endpoints(exhausted)}: run again {when}."


def _endpoints(findings: Sequence[Finding]) -> str:
    return ", ".join(found.endpoint for found in findings)


def lower_of(one: Windows, other: Windows) -> Windows:
    """The windows of an endpoint of which two sources tell, the one with less left for each.

    Rate headers are of the last answer; the statistics' numbers do not always add up. Whoever
    plans a run is better off with the smaller promise.
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
