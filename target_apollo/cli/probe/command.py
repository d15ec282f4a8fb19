"""The command `apollo-sync probe`: how a team's Apollo behaves where its docs are silent."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from target_apollo.apollo import ApolloClient
from target_apollo.cli.options import FILE, ApolloCommand, CommandFailed, config_option
from target_apollo.cli.probe.own_records import DOMAIN, MOST_RECORDS, NAME
from target_apollo.cli.probe.questions import price
from target_apollo.cli.probe.report import report_of
from target_apollo.cli.probe.run import Finding, Probe
from target_apollo.cli.probe.session import Session
from target_apollo.config.credentials import transport_of
from target_apollo.config.paths import NamedFile, files_of, problems_of_files
from target_apollo.config.profile_file import load_profile
from target_apollo.config.settings import Settings
from target_apollo.config.sources import Source, read_config
from target_apollo.model.team_profile import NO_PROFILE, TeamProfile, host_of, team_digest
from target_apollo.sync.exit import MISCONFIGURED, OK
from target_apollo.sync.team.connection import UNTOLD, connection_of
from target_apollo.system.files import replace_private

_FOLDER = ".target-apollo"


@click.command(
    cls=ApolloCommand,
    epilog="Exit codes: 0 asked; 2 wrong settings or key, or no terminal to ask for consent; 3 "
    "out of quota, and the next call goes on; 1 anything else, such as no connection.",
)
@config_option
@click.option(
    "--report",
    type=FILE,
    metavar="FILE",
    help="where the report goes (default: .target-apollo/probe-<date>.md)",
)
@click.option("--yes", is_flag=True, help="do not ask for consent first")
def command(sources: Sequence[Source], report: str | None, yes: bool) -> int:
    """Shows how a team's Apollo behaves where its docs are silent, and what follows.

    It makes up to six records with names that say what they are, which Apollo can't delete by API;
    the next probe uses the same. Without --yes it says first what it sends and leaves, and asks
    whether to go on. What it finds goes into a report, which holds no data of the team, and into
    the file of the setting profile_path, which the target follows from then on.
    """
    now = datetime.now(timezone.utc)
    report = report or f"{_FOLDER}/probe-{now:%Y-%m-%d}.md"
    config = read_config(sources)
    files = files_of(config, sources, writes_profile=True)
    files.append(NamedFile("the report given with --report", Path(report), is_written=True))
    unfit = problems_of_files(files)
    if unfit:
        raise CommandFailed(*unfit, exit_code=MISCONFIGURED)
    settings = Settings.of(config)
    earlier = load_profile(settings.profile_path) or NO_PROFILE
    click.echo("\n".join(_terms()))
    if not yes:
        if not sys.stdin.isatty():
            raise CommandFailed(
                "Nobody can be asked here, since standard input is no terminal: give --yes to "
                "probe all the same.",
                exit_code=MISCONFIGURED,
            )
        if not click.confirm("Ask Apollo?"):
            raise CommandFailed("Nothing was asked.")
    return _probe(settings, earlier, report, now)


def _terms() -> list[str]:
    """What a probe takes and leaves, as lines."""
    requests = price()
    width = max(map(len, requests))
    return [
        "A probe sends at most these requests, one after another, and costs no credits:",
        *(f"  {endpoint:<{width}}  {count}" for endpoint, count in requests.items()),
        f"It leaves up to {MOST_RECORDS} contacts and accounts in Apollo, on lists of their own "
        f"called '{NAME}', with addresses at {DOMAIN}.",
        "A CRM that gets all new contacts from Apollo gets these too. They get other titles, for "
        "a moment another owner and stage, and no e-mail. Nothing else is touched.",
        "Apollo deletes no record by API: delete them in Apollo, or leave them to the next probe, "
        "which makes no others.",
    ]


def _probe(settings: Settings, earlier: TeamProfile, report: str, now: datetime) -> int:
    stop = threading.Event()
    sending = transport_of(settings, stop, quota_share=settings.quota_share, learns_limits=True)
    with closing(sending) as transport:
        connection = _connection(settings, ApolloClient(transport))
        if earlier != NO_PROFILE and not earlier.is_of(connection, settings.api_url):
            # Runs of that team would lose what protects their records.
            raise CommandFailed(
                f"The profile {settings.profile_path} is of another Apollo team or another "
                "address, and this probe would take its place: name another file in profile_path, "
                "or remove the file.",
                exit_code=MISCONFIGURED,
            )
        probe = Probe(Session(transport, earlier.answers, stop))
        profile = TeamProfile(
            team_digest(connection),
            host_of(settings.api_url),
            f"{now:%Y-%m-%dT%H:%M:%SZ}",
            _version(),
            earlier.answers,
        )
        findings: list[Finding] = []
        try:
            for finding in probe.findings():
                findings.append(finding)
                click.echo(_line(finding))
                profile = _with(profile, finding)
                if finding.question.name in probe.session.new:
                    # Its records are made, so that no later probe can ask it again.
                    _keep(settings.profile_path, profile)
        finally:
            _keep(settings.profile_path, profile)
        text = report_of(
            findings,
            transport.counters.snapshot()["requests"],
            profile,
            ended_at=probe.problem.endpoint if probe.problem else "",
        )
        _write(report, text)
        click.echo(f"The report is in {report}.")
        if settings.profile_path:
            click.echo(f"The profile is in {settings.profile_path}.")
        if probe.problem is not None:
            raise probe.problem
        return OK


def _connection(settings: Settings, client: ApolloClient) -> str:
    """What stands for the team, as in a run."""
    connection = connection_of(client, settings)
    if connection != UNTOLD or not settings.profile_path:
        return connection
    # The tokens of another team would find the profile, and go by it.
    raise CommandFailed(
        "Apollo does not tell which team these OAuth tokens are for (GET /users/api_profile), so "
        "the profile can't tell it from another team. Give the app the scope read_user_profile and "
        "run `apollo-sync login`, or probe without a profile (an empty profile_path).",
        exit_code=MISCONFIGURED,
    )


def _with(profile: TeamProfile, finding: Finding) -> TeamProfile:
    if finding.seen is None:
        return profile
    answers: Mapping[str, str] = {**profile.answers, finding.question.name: finding.seen.answer}
    return TeamProfile(profile.team, profile.host, profile.asked_at, profile.version, answers)


def _keep(path: str, profile: TeamProfile) -> None:
    if path:
        _write(path, profile.as_text())


def _write(path: str, text: str) -> None:
    try:
        replace_private(Path(path), text.encode())
    except OSError as problem:
        raise CommandFailed(
            f"The probe's file {path} can't be written: {problem.strerror}."
        ) from None


def _line(finding: Finding) -> str:
    name = finding.question.name
    if finding.seen is None:
        return f"{name}: not asked, {finding.reason}"
    return f"{name}: {finding.seen.answer}" + (
        f" ({finding.seen.note})" if finding.seen.note else ""
    )


def _version() -> str:
    try:
        return version("target-apollo")
    except PackageNotFoundError:
        return "unknown"
