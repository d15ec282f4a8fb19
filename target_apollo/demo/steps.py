"""The steps of the demo: warehouse, plan, ten rows, two syncs, leads, report, list, enrolment plan.

Each step prints what happened, and checks it against the outcomes for which the rows were made.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg

from target_apollo import cli
from target_apollo.demo import meltano
from target_apollo.demo.crm_rows import CrmRows, Table, crm_rows
from target_apollo.demo.leads import fill_leads, leads
from target_apollo.demo.members import LIST, SETTINGS, change_list, fill_list, plan_enrolment
from target_apollo.demo.postgres import PostgresServer, running_postgres
from target_apollo.demo.sandbox import API_KEY, RunningSandbox, running_sandbox
from target_apollo.demo.warehouse import Changes, change_some, drop, fill
from target_apollo.mapper.explain import explain
from target_apollo.model.outcomes import Reason
from target_apollo.reporting.plan import plan_lines
from target_apollo.reporting.terminal import Paint
from target_apollo.sync.sequences.enrolment_counts import enrolment_sentences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Records = dict[str, list[dict[str, Any]]]

#: Width of the demo's output in characters, and number of lines of the report that it prints.
_WIDTH = 96
_REPORT_LINES = 14
#: Contacts of the planned enrolment.
_ENROLLED = 40
#: Files of an earlier demo that are kept: the lock, which is held, and the note of its server.
_KEPT = ("lock", "postgres.json")


class CheckFailed(Exception):
    """A check of the demo failed; the message says which."""


@dataclass(frozen=True)
class Snapshot:
    """The records of the sandbox at one time, by domain and by e-mail address."""

    accounts: Records
    contacts: Records

    @classmethod
    def of(cls, sandbox: RunningSandbox) -> Snapshot:
        """The records of this sandbox now."""
        return cls(sandbox.accounts(), sandbox.contacts())


def run_demo(folder: Path) -> None:
    """Run the demo in ``folder``.

    Raises:
        CheckFailed: A check failed.
        MeltanoError: Meltano is missing or failed.
        PostgresError: There is no usable PostgreSQL.
        SandboxError: The sandbox did not start or answer.
        WarehouseError: The warehouse can't be filled.
    """
    started = time.monotonic()
    _say("PostgreSQL -> Meltano -> target-apollo -> Apollo (the sandbox, no account needed)")
    # The server starts first, which also stops a server that a killed demo left running.
    with running_postgres(folder) as server:
        for path in folder.iterdir():
            if path.name not in _KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        with running_sandbox(folder / "sandbox.log") as sandbox:
            rows = crm_rows(workspace=sandbox.workspace())
            with _warehouse(server, rows):
                project = _set_up(folder, server, sandbox)
                _plan(project, sandbox, rows)
                after_ten = _ten_rows(project, sandbox)
                before = _first_sync(project, sandbox, rows, after_ten)
                _second_sync(project, server, sandbox, rows, before)
                _qualified_leads(project, server, sandbox)
                _report(project)
                _mirrored_list(project, server, sandbox)
                _enrolment_plan(project, sandbox)
    _say(f"\nAll of it came out as it should, in {time.monotonic() - started:.0f} s.")
    _say(f"Logs, summaries and rejects are in {folder.name}/.")


@contextlib.contextmanager
def _warehouse(server: PostgresServer, rows: CrmRows) -> Iterator[None]:
    _say("\n1. A warehouse")
    fill(server.url, rows)
    try:
        with psycopg.connect(server.url) as connection:
            version = connection.info.parameter_status("server_version") or ""
        _say(f"   PostgreSQL {version.split()[0]} on {server.host}:{server.port}")
        for name, table in (("accounts", rows.accounts), ("contacts", rows.contacts)):
            _say(
                f"   crm.{name}: {len(table.rows):,} rows, of which {len(table.bad)} can't be "
                f"written and {len(table.duplicates)} repeat the key of another row"
            )
        yield
    finally:
        drop(server.url)


def _set_up(folder: Path, server: PostgresServer, sandbox: RunningSandbox) -> meltano.Project:
    _say("\n2. Meltano")
    started = time.monotonic()
    if meltano.install_plugins():
        _say(f"   tap-postgres and target-apollo installed in {time.monotonic() - started:.0f} s")
    else:
        _say("   tap-postgres and target-apollo are installed already")
    return meltano.Project(folder, server, sandbox.api_url, API_KEY)


def _plan(project: meltano.Project, sandbox: RunningSandbox, rows: CrmRows) -> None:
    _say("\n3. A plan: what would the first sync do?")
    summary = _run(project, TARGET_APOLLO_DRY_RUN="true")
    for line in plan_lines(summary, _WIDTH, Paint(on=False)):
        _say(f"   {line}".rstrip())
    for name, table in (("accounts", rows.accounts), ("contacts", rows.contacts)):
        planned = summary["streams"][f"crm-{name}"]["created"]
        _expect(planned == len(table.row_of_key), f"{name} planned to be created", planned)
    _expect(not sandbox.accounts(), "accounts in Apollo after a plan", len(sandbox.accounts()))
    _say("   Nothing was written: neither in Apollo nor in the ledger.")


def _ten_rows(project: meltano.Project, sandbox: RunningSandbox) -> Snapshot:
    _say("\n4. Ten rows first, to look at them in Apollo")
    summary = _run(project, TARGET_APOLLO_MAX_RECORDS="10")
    _expect(summary["records"]["received"] == 10, "rows read", summary["records"]["received"])
    now = Snapshot.of(sandbox)
    _expect(0 < len(now.accounts) <= 10, "accounts after ten rows", len(now.accounts))
    _expect(not now.contacts, "contacts after ten rows", len(now.contacts))
    _say(
        f"   {len(now.accounts)} accounts are in Apollo. STATE stands where it stood: the sync "
        "begins with them again."
    )
    return now


def _first_sync(
    project: meltano.Project, sandbox: RunningSandbox, rows: CrmRows, after_ten: Snapshot
) -> Snapshot:
    _say("\n5. The first sync")
    summary = _sync(project, sandbox)
    _print_rejects(project)
    now = Snapshot.of(sandbox)
    _say(f"   Apollo now holds {len(now.accounts):,} accounts and {len(now.contacts):,} contacts.")
    for name, table, records, there in (
        ("accounts", rows.accounts, now.accounts, len(after_ten.accounts)),
        ("contacts", rows.contacts, now.contacts, len(after_ten.contacts)),
    ):
        counts = summary["streams"][f"crm-{name}"]
        created = counts["created"] + there
        _expect(created == len(table.row_of_key), f"{name} created", counts["created"])
        _expect(
            counts["rejected_because"] == table.bad_by_reason,
            f"{name} rejected, by reason",
            counts["rejected_because"],
        )
        again = counts["updated"] + counts["unchanged"] + counts["skipped"]
        _expect(again == len(table.duplicates) + there, f"{name} that repeat a key", again)
        _expect(records.keys() == table.row_of_key.keys(), f"{name} in Apollo", len(records))
        twice = sum(len(found) > 1 for found in records.values())
        _expect(twice == 0, f"{name} that stand in Apollo twice", twice)
        _expect_names(name, table, records)
    _say("   Every good row is there, once; every bad one is in the rejects file.")
    return now


def _second_sync(
    project: meltano.Project,
    server: PostgresServer,
    sandbox: RunningSandbox,
    rows: CrmRows,
    before: Snapshot,
) -> None:
    changes = change_some(server.url, rows)
    _say(
        f"\n6. {len(changes.accounts)} accounts and {len(changes.contacts)} contacts change; "
        "the second sync"
    )
    summary = _sync(project, sandbox)
    read = summary["records"]["received"]
    _say(
        f"   {read} of {len(rows.accounts.rows) + len(rows.contacts.rows):,} rows were read: those "
        "that changed, and the last row of each table, with which a tap always begins again."
    )
    _expect(read <= len(changes.accounts) + len(changes.contacts) + 2, "rows read", read)
    now = Snapshot.of(sandbox)
    _expect_changes(changes, before, now, summary)
    _say("   Exactly the changed rows were updated in Apollo; no other record was touched.")


def _qualified_leads(
    project: meltano.Project, server: PostgresServer, sandbox: RunningSandbox
) -> None:
    table = leads(datetime.now(timezone.utc))
    fill_leads(server.url, table.rows)
    _say(f"\n7. {len(table.rows)} leads, good and bad ones, are to become accounts: the mapper")
    before = sandbox.accounts().keys()
    verdicts = project.folder / "verdicts.jsonl"
    run = project.run(
        # Meltano's cached catalog lacks the new table.
        *("--refresh-catalog", "tap-postgres-leads", "qualify-leads", "target-apollo"),
        settings={"MAP_APOLLO_LEADS_VERDICTS_PATH": str(verdicts)},
    )
    command = "meltano run --refresh-catalog tap-postgres-leads qualify-leads target-apollo"
    _say(f"   $ {command}      ({run.seconds:.1f} s, {run.log.name})")
    _expect(run.exit_code == 0, "exit code of the run with the mapper", run.last_lines())
    for counted in re.findall(r"Stream 'crm-leads': (.*)", run.text):
        _say(f"   {counted}")
    arrived = sandbox.accounts().keys() - before
    _expect(arrived == set(table.passing.values()), "leads in Apollo", len(arrived))
    dropped = str(max(table.failing, key=lambda number: len(table.failing[number])))
    _say(f"\n   $ apollo-sync explain {dropped}")
    for line in explain(verdicts, dropped).splitlines():
        _say(f"   {line}")
    _say(
        f"\n   Exactly the {len(arrived)} qualified leads are in Apollo; {len(table.held)} that "
        "were modified just now are held for the next run."
    )


def _report(project: meltano.Project) -> None:
    _say("\n8. A report of all that")
    page, config = project.folder / "report.html", project.folder / "report.json"
    settings = {
        "summary_path": str(project.summary),
        "ledger_url": project.ledger_url,
        "rejects_path": str(project.rejects),
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    verdicts = project.folder / "verdicts.jsonl"
    command = ["report", "--config", str(config), "--html", str(page), "--verdicts", str(verdicts)]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exit_code = cli.main(command)
    _expect(exit_code == 0 and page.exists(), "a report", printed.getvalue())
    _say("   $ apollo-sync report --html report.html")
    for line in printed.getvalue().splitlines()[:_REPORT_LINES]:
        _say(f"   {line}".rstrip())
    _say(f"   … and so on. As a page: {page.relative_to(project.folder.parent)}")


def _mirrored_list(
    project: meltano.Project, server: PostgresServer, sandbox: RunningSandbox
) -> None:
    contacts = sandbox.contacts()
    members = fill_list(server.url, sorted(email for email in contacts if email))
    sandbox.put_on_list(LIST, contacts[members.by_hand][0]["id"])
    _say(f"\n9. A list that mirrors a table: '{LIST}', on which somebody is by hand")
    _sync_list(project, "--refresh-catalog")
    _expect_list(sandbox, members.first | {members.by_hand})
    change_list(server.url, members)
    gone, new = len(members.first - members.then), len(members.then - members.first)
    _say(f"   {gone} rows are deleted in the warehouse, {new} are new:")
    summary = _sync_list(project)
    _expect(sum(summary["removed"].values()) == gone, "members taken off", summary["removed"])
    _expect_list(sandbox, members.then | {members.by_hand})
    _say("   The list holds the rows of the table, and whom somebody put there stays.")


def _sync_list(project: meltano.Project, *options: str) -> dict[str, Any]:
    run = project.run(*options, "tap-postgres-lists", "target-apollo", settings=SETTINGS)
    command = " ".join(["meltano run", *options, "tap-postgres-lists target-apollo"])
    _say(f"   $ {command}      ({run.seconds:.1f} s, {run.log.name})")
    _expect(run.exit_code == 0, "exit code of the run with the list", run.last_lines())
    summary: dict[str, Any] = json.loads(project.summary.read_text(encoding="utf-8"))
    counts = summary["records"]
    _say(
        f"   {counts['created']} members put on the list, {counts['unchanged']} were there, "
        f"{sum(summary['removed'].values())} taken off"
    )
    return summary


def _expect_list(sandbox: RunningSandbox, wanted: frozenset[str]) -> None:
    found = sandbox.members(LIST)
    _expect(found == wanted, "members of the list", len(found))


def _enrolment_plan(project: meltano.Project, sandbox: RunningSandbox) -> None:
    _say("\n10. Whom would a sequence write to? A plan only: sequences send e-mail to people")
    emails = [email for email in sorted(sandbox.contacts()) if email][:_ENROLLED]
    summary = plan_enrolment(project.folder, sandbox, project.ledger_url, emails)
    for line in enrolment_sentences(summary["enrolments"]):
        _say(f"   {line}")
    because = summary["streams"]["sequence_members"]["rejected_because"]
    protected = because.get(Reason.PROTECTED_STAGE.value, 0)
    _say(f"   {protected} more are in the stage Do Not Contact, and would get none.")
    counted = summary["records"]["created"] + protected
    _expect(counted == len(emails), "contacts to enrol", summary["records"])
    _expect(not sandbox.enrolments(), "enrolments after a plan", len(sandbox.enrolments()))


def _run(project: meltano.Project, **settings: str) -> dict[str, Any]:
    """Run Meltano and return the target's summary; raises `CheckFailed` if the run fails."""
    run = project.run(settings=settings)
    shown = "".join(f"{name}={value} " for name, value in settings.items())
    command = f"{shown}meltano run tap-postgres target-apollo"
    _say(f"   $ {command}      ({run.seconds:.1f} s, {run.log.name})")
    if run.exit_code or not project.summary.exists():
        raise CheckFailed(
            f"`meltano run` ended with exit code {run.exit_code}. Its log ends with:\n"
            f"{run.last_lines()}"
        )
    summary: dict[str, Any] = json.loads(project.summary.read_text(encoding="utf-8"))
    return summary


def _sync(project: meltano.Project, sandbox: RunningSandbox) -> dict[str, Any]:
    """Run Meltano, print the counts of its summary and of the sandbox, and return the summary."""
    sandbox.forget_requests()
    summary = _run(project)
    outcomes = ("created", "updated", "unchanged", "rejected")
    _say(f"\n   {'':<14}" + "".join(f"{outcome:>11}" for outcome in outcomes))
    for stream, counts in summary["streams"].items():
        _say(f"   {stream:<14}" + "".join(f"{counts[outcome]:>11,}" for outcome in outcomes))
    counted = sandbox.requests()
    _say(f"\n   Requests to Apollo: {sum(counted.values())}")
    for endpoint, number in sorted(counted.items(), key=lambda entry: -entry[1]):
        _say(f"   {number:>6}  {endpoint}")
    _say("")
    return summary


def _print_rejects(project: meltano.Project) -> None:
    """Print the reasons for rejects, each with the id of one row; never a row's values."""
    numbers: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for line in project.rejects.read_text(encoding="utf-8").splitlines():
        message = json.loads(line)
        if message["type"] != "RECORD":
            continue
        reject = message["record"]["_reject"]
        kind = (message["stream"], reject["reason"])
        numbers[kind] += 1
        examples.setdefault(kind, f"id {message['record']['id']}: {reject['detail']}")
    _say(f"   Rejected, with the reason beside each in {project.rejects.name}:")
    for (stream, reason), number in sorted(numbers.items()):
        _say(f"   {number:>6}  {stream:<13} {reason:<17} e.g. {examples[stream, reason]}")
    _say("")


def _expect_names(name: str, table: Table, records: Records) -> None:
    """Check that the records have the values of the last row of each match key."""
    column = "name" if name == "accounts" else "last_name"
    for key, number in table.row_of_key.items():
        wanted = str(table.rows[number - 1][column]).strip()
        _expect(records[key][0][column] == wanted, f"{column} of crm.{name} id", number)


def _expect_changes(
    changes: Changes, before: Snapshot, now: Snapshot, summary: dict[str, Any]
) -> None:
    for name, wanted, old, new in (
        ("accounts", changes.accounts, before.accounts, now.accounts),
        ("contacts", changes.contacts, before.contacts, now.contacts),
    ):
        counts = summary["streams"][f"crm-{name}"]
        _expect(counts["updated"] == len(wanted), f"{name} updated", counts["updated"])
        _expect(counts["created"] == 0, f"{name} created", counts["created"])
        touched = {key for key in new if new[key] != old.get(key)}
        _expect(touched == wanted.keys(), f"{name} that differ in Apollo", len(touched))
        _expect(old.keys() == new.keys(), f"{name} in Apollo", len(new))
        for key, values in wanted.items():
            for column, value in values.items():
                _expect(new[key][0].get(column) == value, f"new {column} of {name}", key)


def _expect(is_met: bool, what: str, found: object) -> None:
    if not is_met:
        raise CheckFailed(f"Not as expected: {what}: {found}.")


def _say(line: str) -> None:
    print(line, flush=True)
