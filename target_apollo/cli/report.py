"""The command `apollo-sync report`: past runs in the terminal and, if asked for, as a page."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import add_config_argument, read_settings
from target_apollo.files import replace_private
from target_apollo.ledger import Ledger, LedgerError, Run
from target_apollo.mapper.settings import VERDICTS_PATH
from target_apollo.reporting.detail import Detail, detail_of
from target_apollo.reporting.funnel import Funnel, Period, read_funnels
from target_apollo.reporting.page import page
from target_apollo.reporting.past_runs import ByReason, PastRun, merged, rejected_keys
from target_apollo.reporting.summaries import DEFAULT_FOLDER, Summary, latest
from target_apollo.reporting.terminal import UNBOUNDED, Paint, detail_lines, run_lines
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK

_RUNS, _MOST_RUNS = 10, 500
_EVERY_RUN = 1_000_000
_VERDICTS = "MAP_APOLLO_LEADS_VERDICTS_PATH"
#: Files left out that get a line of their own.
_NAMED = 5


class CannotReport(Exception):
    """There is no such run, or a file can't be used; the message says which and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `report` to a parser."""
    parser.description = (
        "Shows the last runs, from their summaries and the ledger, and one of them in detail: "
        "streams, rejected records by reason with their keys, requests and what Apollo's limits "
        "leave, protected values, duplicates. It asks nothing of Apollo and changes nothing."
    )
    parser.epilog = (
        "Exit codes: 0 told; 1 there is no run to tell of, or a file can't be read or written; "
        "2 wrong settings."
    )
    add_config_argument(parser)
    parser.add_argument(
        "--runs",
        type=_number_of_runs,
        default=_RUNS,
        metavar="N",
        help=f"how many runs, the latest (default: {_RUNS}, at most {_MOST_RUNS})",
    )
    parser.add_argument("--run", metavar="RUN_ID", help="the run to detail (default: the latest)")
    parser.add_argument(
        "--html",
        metavar="FILE",
        type=Path,
        help="write the report as one page too, with mode 0600: it holds keys of records",
    )
    parser.add_argument(
        "--verdicts",
        metavar="FILE",
        type=Path,
        help="map-apollo-leads' verdicts_path, for the way of the leads over the rules "
        f"(default: ${_VERDICTS}, else {VERDICTS_PATH} if it is there)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Reports, and returns the exit code; what went wrong is said on stderr."""
    try:
        settings = read_settings(arguments.config, asks_apollo=False)
    except SettingsError as wrong:
        sys.stderr.write("\n".join(wrong.problems) + "\n")
        return MISCONFIGURED
    try:
        runs, chosen, before = _runs(settings, arguments.runs, arguments.run)
        detail = detail_of(
            chosen,
            _rejects(settings, chosen),
            _funnels(arguments.verdicts, Period.of(chosen, before)),
        )
        _print(runs, detail, settings)
        if arguments.html is not None:
            _write(arguments.html, page(runs, detail, datetime.now(timezone.utc)))
    except CannotReport as problem:
        sys.stderr.write(f"{problem}\n")
        return FAILED
    return OK


def _number_of_runs(written: str) -> int:
    if not (written.isascii() and written.isdigit() and 1 <= int(written) <= _MOST_RUNS):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {_MOST_RUNS} is needed")
    return int(written)


def _runs(
    settings: Settings, limit: int, wanted: str | None
) -> tuple[list[PastRun], PastRun, PastRun | None]:
    """The last runs, the one to detail, and the one before that if it is known."""
    path = settings.summary_path or ""
    # One more than is shown: where a run's verdicts begin, its predecessor has ended.
    found = latest(path, limit + 1, wanted)
    _say_skipped(found.skipped)
    rows = _ledger_rows(settings.ledger_url, limit + 1)
    runs = merged(found.summaries, rows)
    if wanted is not None and all(run.run_id != wanted for run in runs):
        every = _ledger_rows(settings.ledger_url, _EVERY_RUN, quiet=True)
        runs = merged(found.summaries, [*rows, *(row for row in every if row.run_id == wanted)])
    folder = Path(path).parent if path else DEFAULT_FOLDER
    if not runs:
        raise CannotReport(
            f"There is no run to tell of, neither in {folder} nor in the ledger. Give the settings "
            "of the runs with --config, and start this where they were started: paths are taken "
            "from there."
        )
    at = 0
    if wanted is not None:
        places = [place for place, run in enumerate(runs) if run.run_id == wanted]
        if not places:
            raise CannotReport(
                f"There is no run {wanted}, neither in {folder} nor in the ledger. Without --run "
                "the last runs are listed with their ids."
            )
        at = places[0]
    before = runs[at + 1] if at + 1 < len(runs) else None
    shown = runs[:limit] if at < limit else [*runs[: limit - 1], runs[at]]
    return shown, runs[at], before


def _ledger_rows(url: str, limit: int, *, quiet: bool = False) -> Sequence[Run]:
    if not url:
        return ()
    try:
        ledger = Ledger.open_existing(url)
        if ledger is None:
            return ()
        with ledger:
            return ledger.runs(limit)
    except LedgerError as problem:
        if not quiet:
            sys.stderr.write(f"{problem} The report is made from the summaries alone.\n")
        return ()


def _say_skipped(sentences: Sequence[str]) -> None:
    for sentence in sentences[:_NAMED]:
        sys.stderr.write(f"{sentence}\n")
    if len(sentences) > _NAMED:
        sys.stderr.write(f"{len(sentences) - _NAMED} more files are left out likewise.\n")


def _rejects(settings: Settings, chosen: PastRun) -> ByReason:
    summary: Summary | None = chosen.summary
    if summary is not None and not any(s.rejected for s in summary.streams.values()):
        return {}
    try:
        return rejected_keys(Path(settings.rejects_path), chosen.run_id)
    except OSError as problem:
        raise CannotReport(
            f"The rejects file {settings.rejects_path} (setting rejects_path) can't be read: "
            f"{problem.strerror}."
        ) from None


def _funnels(named: Path | None, period: Period) -> list[Funnel]:
    usual = os.environ.get(_VERDICTS) or VERDICTS_PATH
    path = named or Path(usual)
    if named is None and not path.exists():
        return []
    try:
        return read_funnels(path, period)
    except OSError as problem:
        raise CannotReport(
            f"The verdicts in {path} can't be read: {problem.strerror}. Give the file that the "
            "mapper's setting verdicts_path names with --verdicts."
        ) from None


def _print(runs: Sequence[PastRun], detail: Detail, settings: Settings) -> None:
    watched = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if watched else UNBOUNDED
    paint = Paint.for_output(sys.stdout, os.environ)
    lines = run_lines(runs, width, paint)
    lines += ["", *detail_lines(detail, settings.rejects_path, width, paint)]
    sys.stdout.write("\n".join(lines) + "\n")


def _write(path: Path, text: str) -> None:
    try:
        replace_private(path, text.encode())
    except OSError as problem:
        raise CannotReport(
            f"The page can't be written to {path}: {problem.strerror}. Give another place with "
            "--html."
        ) from None
    sys.stdout.write(f"\nThe report as a page: {path}\n")
