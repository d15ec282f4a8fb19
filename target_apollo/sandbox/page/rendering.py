"""The HTML of the page: one template, every text escaped, nothing from elsewhere.

The content security policy allows the page's own style sheet and script only, by their hashes. The
script renews what is shown and asks for consent; all else works without it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

from target_apollo.sandbox.page.choice import SEARCHED, Choice, View
from target_apollo.sandbox.page.names import Names
from target_apollo.sandbox.page.objects import (
    deals_table,
    lists_table,
    sequences_table,
    tasks_table,
)
from target_apollo.sandbox.page.one_record import OneRecord, one_record
from target_apollo.sandbox.page.overview import counts_of, last_run_of, tiles_of
from target_apollo.sandbox.page.records import accounts_table, contacts_table
from target_apollo.sandbox.page.requests import (
    EVERY,
    OneRequest,
    one_request,
    quota_table,
    requests_table,
    runs_shown,
)
from target_apollo.sandbox.page.tables import Table, Text, shown
from target_apollo.sandbox.state import Sandbox


def page(sandbox: Sandbox, query: Mapping[str, str]) -> str:
    """The page that an address with these parameters shows."""
    choice = Choice.of_query(query)
    with sandbox.store.lock:
        names = Names(sandbox)
        record = request = table = None
        if choice.record and choice.view is View.REQUESTS:
            request = one_request(sandbox, choice)
        elif choice.record:
            record = one_record(sandbox, choice, names)
        else:
            table = _table(sandbox, choice, names)
        is_overview = choice.view is View.OVERVIEW
        return _template().render(
            style=_file("page.css"),
            script=_file("page.js"),
            choice=choice,
            views=[*View],
            counts=counts_of(sandbox),
            team=sandbox.store.team_id,
            options=sandbox.options,
            api_url=sandbox.url,
            revision=revision(sandbox),
            tiles=tiles_of(sandbox) if is_overview else (),
            last_run=last_run_of(sandbox) if is_overview else None,
            runs=runs_shown(sandbox) if choice.view is View.REQUESTS and not request else (),
            every_request=Choice(View.REQUESTS, by="run", of=EVERY).address,
            is_searched=choice.view in SEARCHED,
            narrowed=_narrowed(choice, names, sandbox),
            table=table,
            record=record,
            request=request,
            is_missing=bool(choice.record) and record is None and request is None,
            title=_title(choice, record, request),
        )


def revision(sandbox: Sandbox) -> str:
    """A text that changes with each request and with whatever people do."""
    return f"{sandbox.log.next_number}.{sandbox.deeds}"


def headers() -> dict[str, str]:
    """The headers of the page."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest('page.css')}'; "
        f"script-src 'sha256-{_digest('page.js')}'; connect-src 'self'; form-action 'self'; "
        # No other page may show this one in a frame, where it could have its button pressed.
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
    }


def _table(sandbox: Sandbox, choice: Choice, names: Names) -> Table | None:
    if choice.view is View.QUOTA:
        return quota_table(sandbox.quota())
    if choice.view is View.REQUESTS:
        return requests_table(sandbox, choice)
    tables = {
        View.CONTACTS: contacts_table,
        View.ACCOUNTS: accounts_table,
        View.LISTS: lists_table,
        View.SEQUENCES: sequences_table,
        View.DEALS: deals_table,
        View.TASKS: tasks_table,
    }
    make = tables.get(choice.view)
    return None if make is None else make(sandbox, choice, names)


def _narrowed(choice: Choice, names: Names, sandbox: Sandbox) -> str:
    """By what the table is narrowed, in words; empty if it is not."""
    by, of = choice.by, shown(choice.of)
    if not by or (by, of) == ("run", EVERY):
        return ""
    if by == "list":
        label = sandbox.store.workspace.labels.get(of)
        return f"On the list {shown(label['name']) if label else of}"
    named: dict[str, Text | None] = {
        "account": names.account(of) if by == "account" else None,
        "contact": names.contact(of) if by == "contact" else None,
        "sequence": names.sequence(of) if by == "sequence" else None,
    }
    if by in named:
        found = named[by]
        return f"Of the {by} {found.text if found else of}"
    if by == "run" and choice.view is View.REQUESTS:
        return f"Of the run that began with request {of}"
    return f"Made or changed by {'the run that began with ' if by == 'run' else ''}request {of}"


def _title(choice: Choice, record: OneRecord | None, request: OneRequest | None) -> str:
    if record is not None:
        return record.title
    if request is not None:
        return request.title
    return choice.view.value.capitalize()


@cache
def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


@cache
def _digest(name: str) -> str:
    return base64.b64encode(hashlib.sha256(_file(name).encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_file("page.html.j2"))
