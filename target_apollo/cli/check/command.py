"""The command `apollo-sync check`: whether a sync with these settings can work.

The report goes to standard output, as lines for people or as JSON for programs. Neither form holds
the key or an e-mail address.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import click

from target_apollo.apollo import Window, Windows, access_to, endpoints
from target_apollo.cli.check.connection import check_connection
from target_apollo.cli.check.findings import Access, Check, Finding
from target_apollo.cli.check.in_git import private_files_in_git
from target_apollo.cli.check.plain_secrets import secrets_in_plain_text
from target_apollo.cli.check.run_check import CheckInput, RunCheck, RunFindings
from target_apollo.cli.options import (
    FILE,
    ApolloCommand,
    CommandFailed,
    config_option,
    json_option,
    object_option,
)
from target_apollo.config.meltano import MeltanoSettings
from target_apollo.config.settings import Settings
from target_apollo.config.sources import Source, read_config
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.reporting.terminal import UNBOUNDED, line_width, wrapped
from target_apollo.sync.remarks import SETTINGS, Remark, Weight
from target_apollo.sync.words import plural
from target_apollo.system.shown import escaped, name_shown, printable
from target_apollo.target.source_check import CheckedStream

_KEY = {True: "valid", False: "not valid", None: "not checked"}


@click.command(
    cls=ApolloCommand,
    epilog="Exit codes: 0 usable, perhaps with warnings; 2 wrong settings or key, a fault that "
    "would end a run, or an endpoint that every run needs is forbidden; 3 out of quota for longer "
    "than max_wait_seconds; 1 anything else, such as no connection.",
)
@config_option
@object_option("what will be synced, if not both: the key is checked for no more than that")
@json_option
@click.option(
    "--catalog",
    type=FILE,
    metavar="FILE",
    help="a tap's catalog: its selected streams and columns are checked too; - for standard input",
)
@click.option(
    "--leads",
    type=FILE,
    metavar="FILE",
    help="JSON file with the settings of map-apollo-leads, which gets the streams first",
)
@click.argument("messages", metavar="[INPUT]", required=False, type=FILE)
def command(
    sources: Sequence[Source],
    kinds: list[ObjectKind],
    wants_json: bool,
    catalog: str | None,
    leads: str | None,
    messages: str | None,
) -> int:
    """Says whether a sync with these settings can work, and what it would refuse.

    It looks at the address, the key, the team, every endpoint that the mode uses and the quota
    left, at the settings, the files and the ledger, and at private files and secrets that others
    may get. With a --catalog, or Singer messages in INPUT (- for standard input), also at streams
    and columns, and at the first records. Nothing is written; each endpoint is asked once.
    """
    if catalog is not None and messages is not None:
        raise click.UsageError("Give --catalog or INPUT, not both.")
    checked = CheckInput(catalog, messages, leads)
    config = read_config(sources)
    run_check = RunCheck(config, kinds, checked)
    settings = Settings.of(config)
    exposed = tuple(_exposed_secrets(settings, sources))
    try:
        check = check_connection(settings, run_check.kinds)
        answers = check.key_valid is True and check.problem is None
        run_findings = run_check.finish(asks_apollo=answers)
    except Exception:
        # Without a report of the check they would not be told.
        for remark in exposed:
            click.echo(printable(remark.sentence), err=True)
        raise
    check = replace(check, remarks=(*run_findings.remarks, *exposed))
    exit_code, because = check.verdict
    if wants_json:
        text = json.dumps(as_json(check, run_findings), indent=2, ensure_ascii=False)
        sys.stdout.write(escaped(text) + "\n")
    else:
        verdict = [] if exit_code else ["", because]
        lines = as_lines(check, run_findings, checked.making_fields, line_width(sys.stdout))
        sys.stdout.write("\n".join(map(printable, [*lines, *verdict])) + "\n")
    sys.stdout.flush()
    if exit_code:
        raise CommandFailed(because, exit_code=exit_code)
    return exit_code


def _exposed_secrets(settings: Settings, sources: Sequence[Source]) -> Iterator[Remark]:
    """A warning for each private file that git would take, and for each secret in plain text."""
    projects = [one.project for one in sources if isinstance(one, MeltanoSettings)]
    for sentence in (
        *private_files_in_git(settings, sources),
        *secrets_in_plain_text(path for project in projects for path in project.files),
    ):
        yield Remark(Weight.WARNING, SETTINGS, sentence)


def as_lines(
    check: Check,
    run_findings: RunFindings = RunFindings(),  # noqa: B008 - it is frozen
    making_fields: str = "",
    width: int = UNBOUNDED,
) -> list[str]:
    """The check as lines for people, without the verdict: what must be done first comes first.

    Args:
        making_fields: The command that makes custom fields for columns without a place.
        width: Characters of a line.
    """
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
    if run_findings.ledger:
        lines.append(f"Ledger   {run_findings.ledger}")
    if check.faults:
        lines += ["", "Faults, which would end a run or reject its rows:"]
        for number, fault in enumerate(check.faults, 1):
            lines += wrapped(f"  {number}. {fault.sentence}", width, " " * 5)
    if check.warnings:
        lines += ["", "Warnings, with which a run would go on:"]
        for warning in check.warnings:
            lines += wrapped(f"  - {warning.sentence}", width, " " * 4)
    for stream in run_findings.streams:
        lines += ["", *_stream_lines(stream, making_fields, width)]
    endpoint_width = max((len(finding.endpoint) for finding in check.findings), default=0)
    for title, required in (("A run needs", True), ("Some records need", False)):
        rows = [finding for finding in check.findings if finding.need.required is required]
        if rows:
            lines += ["", f"{title}:", *(_line(finding, endpoint_width) for finding in rows)]
    return lines


def _stream_lines(stream: CheckedStream, making_fields: str, width: int) -> list[str]:
    by = f", recognised by {', '.join(stream.match_on)}" if stream.match_on else ""
    key = ", ".join(stream.key) or "none"
    lines = [
        f"Stream {name_shown(stream.name)}: {stream.object} in mode {stream.mode}{by}; key: {key}"
    ]
    renamed = [
        f"{name_shown(column)} as {name_shown(place)}"
        for column, place in stream.places.items()
        if column != place
    ]
    lines += wrapped(f"  written: {plural(len(stream.places), 'column')}", width)
    if renamed:
        lines += wrapped(f"  other names: {', '.join(renamed)}", width, " " * 4)
    if stream.not_written:
        names = ", ".join(map(name_shown, stream.not_written))
        lines += wrapped(f"  not written: {names}", width, " " * 4)
        if making_fields:
            lines.append(f"  to make custom fields for them: {making_fields}")
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


def as_json(
    check: Check,
    run_findings: RunFindings = RunFindings(),  # noqa: B008 - it is frozen
) -> dict[str, Any]:
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
        "faults": [_remark(one) for one in check.faults],
        "warnings": [_remark(one) for one in check.warnings],
        "ledger": run_findings.ledger or None,
        "streams": [_stream(one) for one in run_findings.streams],
        "endpoints": [_endpoint(finding) for finding in check.findings],
    }


def _remark(remark: Remark) -> dict[str, str]:
    return {"about": remark.about, "sentence": remark.sentence}


def _stream(stream: CheckedStream) -> dict[str, Any]:
    return {
        "stream": stream.name,
        "object": stream.object,
        "mode": stream.mode,
        "match_on": list(stream.match_on),
        "key": list(stream.key),
        "written": dict(stream.places),
        "not_written": list(stream.not_written),
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
