"""The command `apollo-sync report`: past runs in the terminal, as JSON, and as an HTML page."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from target_apollo.cli.explain import VERDICTS_VARIABLE, ManyVerdicts, verdicts_path
from target_apollo.cli.options import FILE, ApolloCommand, CommandFailed, config_option
from target_apollo.config.paths import NamedFile, files_of, given_with, problems_of_files
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import Source, read_config
from target_apollo.ledger import Ledger, LedgerError, Run
from target_apollo.mapper.settings import VERDICTS_PATH
from target_apollo.reporting.detail import (
    Detail,
    RejectRow,
    WaitingRow,
    detail_of,
    detail_of_stream,
    streams_of,
)
from target_apollo.reporting.funnel import Funnel, Period, read_funnels
from target_apollo.reporting.page import page
from target_apollo.reporting.past_runs import ByReason, PastRun, merged, rejected_keys
from target_apollo.reporting.summaries import DEFAULT_FOLDER, Summary, latest
from target_apollo.reporting.terminal import Paint, detail_lines, line_width, run_lines
from target_apollo.reporting.words import reason_words, remedy_words
from target_apollo.sync.exit import MISCONFIGURED, OK
from target_apollo.sync.words import listed
from target_apollo.system.files import replace_private
from target_apollo.system.shown import escaped, name_shown, printable

Row = TypeVar("Row")

_RUNS, _MOST_RUNS = 10, 500
_EVERY_RUN = 1_000_000
#: The most unreadable files that get a line of their own.
_NAMED = 5


@click.command(
    cls=ApolloCommand,
    epilog="Exit codes: 0 shown; 1 there is no run to show, or a file can't be read or written; "
    "2 wrong settings.",
)
@config_option
@click.option(
    "--runs",
    type=click.IntRange(1, _MOST_RUNS),
    default=_RUNS,
    metavar="N",
    help=f"how many runs, the latest (default: {_RUNS}, at most {_MOST_RUNS})",
)
@click.option(
    "--run", "run_id", metavar="RUN_ID", help="the run to show in detail (default: the latest)"
)
@click.option("--stream", "stream", metavar="NAME", help="show this stream of the run alone")
@click.option("--json", "is_json", is_flag=True, help="print the run in detail as JSON instead")
@click.option(
    "--html",
    type=FILE,
    metavar="FILE",
    help="write the report as one page too, with mode 0600: it holds keys of records",
)
@click.option(
    "--verdicts",
    type=FILE,
    metavar="FILE",
    help="map-apollo-leads' verdicts_path, to show how many leads pass each rule "
    "(default: that of the mapper in the Meltano project around this folder; outside a project "
    f"${VERDICTS_VARIABLE}, else {VERDICTS_PATH}, if it is there)",
)
def command(
    sources: Sequence[Source],
    runs: int,
    run_id: str | None,
    stream: str | None,
    is_json: bool,
    html: str | None,
    verdicts: str | None,
) -> int:
    """Shows the last runs, and one of them in detail.

    It reads their summaries and the ledger, and shows streams, rejected records by reason with
    columns, causes and keys, requests and what Apollo's limits leave, values that are still to be
    sent, protected values, duplicates. It shows no values of records, asks nothing of Apollo and
    changes nothing.
    """
    config = read_config(sources, asks_apollo=False)
    settings = Settings.of(config)
    files = files_of(config, sources) + given_with("--verdicts", filter(None, [verdicts]))
    if html is not None:
        files.append(NamedFile("the page given with --html", Path(html), is_written=True))
    unfit = problems_of_files(files)
    if unfit:
        raise CommandFailed(*unfit, exit_code=MISCONFIGURED)
    shown, chosen, before = _runs(settings, runs, run_id)
    now, kept = datetime.now(timezone.utc), _rejects(settings, chosen)
    waiting = _waiting(settings.ledger_url, chosen.team, now)
    if stream is None:
        environment = next((one.environment for one in sources if not isinstance(one, str)), None)
        funnels = _funnels(verdicts, Period.of(chosen, before), environment)
        detail = detail_of(chosen, kept, funnels, waiting)
    else:
        _check_stream(stream, chosen, kept)
        detail = detail_of_stream(chosen, kept, waiting, stream)
    if is_json:
        sys.stdout.write(f"{as_json(detail)}\n")
    else:
        _print(shown, detail, settings)
    if html is not None:
        _write(Path(html), page(shown, detail, now), quiet=is_json)
    return OK


def _check_stream(stream: str, run: PastRun, kept: ByReason) -> None:
    known = streams_of(run, kept)
    if stream not in known:
        raise CommandFailed(
            f"The run {run.run_id} has no stream '{name_shown(stream)}'. It has: "
            f"{listed(known, _NAMED * 4) or 'none'}."
        )


def _runs(
    settings: Settings, limit: int, wanted: str | None
) -> tuple[list[PastRun], PastRun, PastRun | None]:
    """The last runs, the run to detail, and the run before that if it is known."""
    path = settings.summary_path or ""
    # One more than is shown, since a run's verdicts begin where the run before it ended.
    summaries = latest(path, limit + 1, wanted)
    _say_skipped(summaries.skipped)
    rows = _ledger_rows(settings.ledger_url, limit + 1)
    runs = merged(summaries.summaries, rows)
    if wanted is not None and all(run.run_id != wanted for run in runs):
        every = _ledger_rows(settings.ledger_url, _EVERY_RUN, quiet=True)
        runs = merged(summaries.summaries, [*rows, *(row for row in every if row.run_id == wanted)])
    folder = Path(path).parent if path else DEFAULT_FOLDER
    if not runs:
        raise CommandFailed(
            f"There is no run to show, neither in {folder} nor in the ledger. Give the settings "
            "of the runs with --config, and start this where they were started: paths are taken "
            "from there."
        )
    at = 0
    if wanted is not None:
        positions = [position for position, run in enumerate(runs) if run.run_id == wanted]
        if not positions:
            raise CommandFailed(
                f"There is no run {wanted}, neither in {folder} nor in the ledger. Without --run "
                "the last runs are listed with their ids."
            )
        at = positions[0]
    before = runs[at + 1] if at + 1 < len(runs) else None
    shown = runs[:limit] if at < limit else [*runs[: limit - 1], runs[at]]
    return shown, runs[at], before


def _ledger_rows(url: str, limit: int, *, quiet: bool = False) -> Sequence[Run]:
    return _from_ledger(url, lambda ledger: ledger.runs(limit), quiet=quiet)


def _waiting(url: str, team: str | None, now: datetime) -> list[WaitingRow]:
    """The values of a team that are still to be sent, those of most first."""
    if team is None:
        return []
    found = _from_ledger(url, lambda ledger: ledger.waiting_fields(team), quiet=True)
    rows = [WaitingRow.of(field, now) for field in found]
    return sorted(rows, key=lambda row: (-row.values, row.stream, row.field))


def _from_ledger(
    url: str, read: Callable[[Ledger], Sequence[Row]], *, quiet: bool
) -> Sequence[Row]:
    """What is read from the ledger; nothing if there is none or it can't be read."""
    if not url:
        return ()
    try:
        ledger = Ledger.open_existing(url)
        if ledger is None:
            return ()
        with ledger:
            return read(ledger)
    except LedgerError as problem:
        if not quiet:
            sys.stderr.write(
                f"{printable(str(problem))} The report is made from the summaries alone.\n"
            )
        return ()


def _say_skipped(sentences: Sequence[str]) -> None:
    for sentence in sentences[:_NAMED]:
        sys.stderr.write(f"{printable(sentence)}\n")
    if len(sentences) > _NAMED:
        sys.stderr.write(f"{len(sentences) - _NAMED} more files are left out likewise.\n")


def _rejects(settings: Settings, chosen: PastRun) -> ByReason:
    summary: Summary | None = chosen.summary
    if summary is not None and not any(s.rejected for s in summary.streams.values()):
        return {}
    try:
        return rejected_keys(Path(settings.rejects_path), chosen.run_id)
    except OSError as problem:
        raise CommandFailed(
            f"The rejects file {settings.rejects_path} (setting rejects_path) can't be read: "
            f"{problem.strerror}."
        ) from None


def _funnels(named: str | None, period: Period, environment: str | None) -> list[Funnel]:
    try:
        path = Path(named) if named is not None else verdicts_path(environment)
    except (ManyVerdicts, SettingsError) as problem:
        sys.stderr.write(f"{printable(str(problem))} The report is made without the leads.\n")
        return []
    if named is None and not path.exists():
        return []
    try:
        return read_funnels(path, period)
    except OSError as problem:
        raise CommandFailed(
            f"The verdicts in {path} can't be read: {problem.strerror}. Give the file that the "
            "mapper's setting verdicts_path names with --verdicts."
        ) from None


def _print(runs: Sequence[PastRun], detail: Detail, settings: Settings) -> None:
    width = line_width(sys.stdout)
    paint = Paint.for_output(sys.stdout, os.environ)
    lines = run_lines(runs, width, paint)
    lines += ["", *detail_lines(detail, settings.rejects_path, width, paint)]
    sys.stdout.write("\n".join(lines) + "\n")


def _write(path: Path, text: str, *, quiet: bool) -> None:
    try:
        replace_private(path, text.encode())
    except OSError as problem:
        raise CommandFailed(
            f"The page can't be written to {path}: {problem.strerror}. Give another place with "
            "--html."
        ) from None
    if not quiet:
        sys.stdout.write(f"\nThe report as a page: {path}\n")


def as_json(detail: Detail) -> str:
    """What the report says of a run; keys of rejected records are in it, and no values."""
    run, summary = detail.run, detail.summary
    report: dict[str, Any] = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "exit_code": run.exit_code,
        "ended_because": run.because,
        "team": run.team,
        "mode": run.mode,
        "dry_run": run.dry,
        "records": dict(run.counts),
        "streams": {name: msgspec.to_builtins(one) for name, one in detail.streams.items()},
        "rejects": [_reject(row) for row in detail.rejects],
        "to_follow": summary.to_follow if summary else {},
        "follow_from": summary.follow_from if summary else None,
        "followed": summary.followed if summary else {},
        "not_followed": summary.not_followed if summary else {},
        "waiting": [dataclasses.asdict(row) for row in detail.waiting],
        "requests": {row.endpoint: row.sent for row in detail.requests},
    }
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    return escaped(text)


def _reject(row: RejectRow) -> dict[str, Any]:
    return {
        "stream": row.stream,
        "reason": row.reason,
        "words": reason_words(row.reason),
        "to_do": remedy_words(row.reason),
        "number": row.number,
        "in_file": row.kept.number,
        "causes": [
            {
                "column": cause.column or None,
                "sentence": cause.sentence,
                "answer": cause.answer or None,
                "number": number,
            }
            for cause, number in row.causes
        ],
        "keys": row.kept.keys,
    }
