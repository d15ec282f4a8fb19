"""The command `apollo-sync check`: whether a sync with these settings can work.

The report goes to standard output, as lines for people or as JSON for programs. Neither form holds
the key or an e-mail address.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from target_apollo.apollo import Window, Windows, access_to, endpoints
from target_apollo.cli.check.connection import Access, Check, Finding, check_connection
from target_apollo.cli.check.in_git import private_files_in_git
from target_apollo.cli.options import (
    ApolloCommand,
    CommandFailed,
    config_option,
    json_option,
    object_option,
)
from target_apollo.config.sources import Source, read_settings
from target_apollo.model.objects import ObjectKind
from target_apollo.system.shown import escaped, name_shown, printable

_KEY = {True: "valid", False: "not valid", None: "not checked"}


@click.command(
    cls=ApolloCommand,
    epilog="Exit codes: 0 usable; 2 wrong settings or key, or an endpoint that every run needs is "
    "forbidden; 3 out of quota for longer than max_wait_seconds; 1 anything else, such as no "
    "connection.",
)
@config_option
@object_option("what will be synced, where that is not both: the key needs no more than that")
@json_option
def command(sources: Sequence[Source], kinds: list[ObjectKind], wants_json: bool) -> int:
    """Says whether a sync with these settings can work.

    It looks at the address, the key, the team, every endpoint that the mode uses and the quota
    left. Nothing is written; each endpoint is asked once.
    """
    settings = read_settings(sources)
    for sentence in private_files_in_git(settings, sources):
        click.echo(printable(sentence), err=True)
    check = check_connection(settings, kinds)
    exit_code, because = check.verdict
    if wants_json:
        text = json.dumps(as_json(check), indent=2, ensure_ascii=False)
        sys.stdout.write(escaped(text) + "\n")
    else:
        verdict = [] if exit_code else ["", because]
        sys.stdout.write("\n".join(map(printable, [*as_lines(check), *verdict])) + "\n")
    sys.stdout.flush()
    if exit_code:
        raise CommandFailed(because, exit_code=exit_code)
    return exit_code


def as_lines(check: Check) -> list[str]:
    """The check as lines for people, one per endpoint, without the verdict."""
    credentials = "Token" if check.oauth else "Key"
    lines = [f"Address  {check.api_url}", f"{credentials:<8} {_KEY[check.key_valid]}"]
    if check.profile is not None:
        lines.append(f"Team     {name_shown(check.profile.team_id)}")
        lines.append(f"User     {name_shown(check.profile.name or check.profile.id)}")
    elif check.key_valid:
        lines.append(f"Team     not told by {endpoints.PROFILE}")
    for kind, modes in check.modes.items():
        in_modes = " and ".join(sorted(mode.value for mode in modes))
        lines.append(f"{kind.value.capitalize():<8} written in mode {in_modes}")
    width = max((len(finding.endpoint) for finding in check.findings), default=0)
    for title, required in (("A run needs", True), ("Some records need", False)):
        rows = [finding for finding in check.findings if finding.need.required is required]
        if rows:
            lines += ["", f"{title}:", *(_line(finding, width) for finding in rows)]
    return lines


def _line(finding: Finding, width: int) -> str:
    words = [f"  {finding.access.value:<12}", f"{finding.endpoint:<{width}}"]
    notes = [f"for {finding.need.only_for}"] if finding.need.only_for else []
    if finding.access is Access.FORBIDDEN:
        notes.append(finding.remedy)
    if finding.retry_at is not None:
        notes.append(f"again after {finding.retry_at:%Y-%m-%d %H:%M:%S} UTC")
    if finding.detail:
        notes.append(finding.detail)
    if finding.windows.known:
        notes.append(quota_left(finding.windows))
    return "  ".join([*words, "; ".join(notes)]).rstrip()


def quota_left(windows: Windows) -> str:
    """What is left of an endpoint's quota, as in "left 199/min, 399/h, 1999/day"."""
    parts = [
        f"{window.left}/{unit}"
        for window, unit in ((windows.minute, "min"), (windows.hour, "h"), (windows.day, "day"))
        if window.left is not None
    ]
    return f"left {', '.join(parts)}" if parts else "no limit told"


def as_json(check: Check) -> dict[str, Any]:
    """The check as one JSON object. Programs rely on its names, so they never change."""
    exit_code, because = check.verdict
    profile = check.profile
    return {
        "usable": exit_code == 0,
        "exit_code": exit_code,
        "because": because,
        "api_url": check.api_url,
        "key_valid": check.key_valid,
        "team_id": profile.team_id if profile else None,
        "user": {"id": profile.id, "name": profile.name} if profile else None,
        "modes": {
            kind.value: sorted(mode.value for mode in modes) for kind, modes in check.modes.items()
        },
        "endpoints": [_endpoint(finding) for finding in check.findings],
    }


def _endpoint(finding: Finding) -> dict[str, Any]:
    access = access_to(finding.endpoint)
    return {
        "endpoint": finding.endpoint,
        "standing": finding.access.value,
        "objects": [*(kind.value for kind in finding.need.kinds), *finding.need.objects],
        "required": finding.need.required,
        "only_for": finding.need.only_for or None,
        "forbidden_by": finding.forbidden_by.value if finding.forbidden_by else None,
        "key_entry": access.key_entry,
        "scope": access.scope,
        "quota": {name: _window(window) for name, window in _each(finding.windows)},
        "retry_at": finding.retry_at.isoformat(timespec="seconds") if finding.retry_at else None,
        "detail": finding.detail or None,
    }


def _each(windows: Windows) -> list[tuple[str, Window]]:
    return [("minute", windows.minute), ("hour", windows.hour), ("day", windows.day)]


def _window(window: Window) -> dict[str, int | None] | None:
    return asdict(window) if window.known else None
