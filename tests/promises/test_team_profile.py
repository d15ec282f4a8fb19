"""A run goes by what a probe has found out about the team's Apollo, and by nothing else."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest

from target_apollo.model.team_profile import TeamProfile, host_of, team_digest
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.options import (
    BulkAnswers,
    ClearedBy,
    KeywordSearch,
    MatchedInBulk,
    UpdateRoute,
)
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.updates import CREATE, by_email, stream, titles
from tests.promises.conftest import Message, Run, TargetRun, contact, record, schema

PUT_ONLY = {"patch_accounts": UpdateRoute.NOT_FOUND, "put_accounts": UpdateRoute.ACCEPTED}
WORLDS: dict[str, dict[str, Any]] = {
    "as by default": {},
    "PATCH is no route": PUT_ONLY,
    "null clears": {"cleared_by": ClearedBy.NULL},
    "the empty text clears": {"cleared_by": ClearedBy.EMPTY_STRING},
    "short objects in bulk answers": {"bulk_answers": BulkAnswers.DOCUMENTED},
    "the owner reaches existing records": {"owner_touches_existing": True},
    "what exists is overwritten": {"matched_in_bulk": MatchedInBulk.OVERWRITTEN},
    "what exists is made again": {"matched_in_bulk": MatchedInBulk.DUPLICATED},
    "a search finds nothing": {"keyword_search": KeywordSearch.NOTHING},
}


def write_profile(folder: Path, apollo: Sandbox, options: dict[str, Any], **own: Any) -> str:
    """The profile that a probe would write; returns its path."""
    answers = {
        name: str(value.value) if isinstance(value, enum.Enum) else str(value).lower()
        for name, value in options.items()
    }
    if "matched_in_bulk" in answers:
        answers["accounts_matched_in_bulk"] = answers["matched_in_bulk"]
    parts = {
        "team": team_digest(apollo.store.team_id), "host": host_of(apollo.url),
        "asked_at": "2026-11-29T12:00:00Z", "version": "1.0.0", "answers": answers, **own,
    }  # fmt: skip
    path = folder / "profile.json"
    path.write_text(TeamProfile(**parts).as_text())
    return str(path)


def rows(apollo: Sandbox) -> list[Message]:
    """Rows of contacts and accounts that exist, and of new ones."""
    store = apollo.store
    rep = store.add_user(email="rep@team.com")["id"]
    for n in range(3):
        store.add_contact(email=f"p{n}@a.com", title="old", first_name=f"F{n}", last_name="L")
    store.add_account(domain="f1.com", name="Old")
    return [
        schema("contacts", stream()),
        *(contact(n, title="new", first_name=f"F{n}", owner_id=rep) for n in range(6)),
        schema("accounts"),
        record("accounts", id=1, domain="f1.com", name="New"),
        record("accounts", id=2, domain="f2.com", name="Two"),
    ]


def synced(
    sync: Run, world: str, folder: Path, *, with_profile: bool
) -> tuple[TargetRun, Any, int]:
    options = WORLDS[world]
    with new_sandbox(SandboxOptions(strict=True, **options)) as apollo:
        (folder / "ledger.db").unlink(missing_ok=True)
        messages = rows(apollo)
        path = write_profile(folder, apollo, options) if with_profile else ""
        done = sync(messages, sandbox=apollo, profile_path=path)
        held = (
            sorted((one["email"], one["title"]) for one in apollo.store.contacts()),
            sorted((one["domain"], one["name"]) for one in apollo.store.accounts()),
        )
        return done, held, len(apollo.requests)


#: Protection takes requests: keys first, or a look before a creation.
PROTECTED = {
    "what exists is overwritten",
    "what exists is made again",
    "the owner reaches existing records",
}


@pytest.mark.parametrize("world", WORLDS, ids=lambda name: name.replace(" ", "_"))
def test_a_run_with_a_profile_ends_with_the_rows_values(
    world: str, sync: Run, tmp_path: Path
) -> None:
    done, held, requests = synced(sync, world, tmp_path, with_profile=True)

    assert held == (
        [(f"p{n}@a.com", "new") for n in range(6)],
        [("f1.com", "New"), ("f2.com", "Two")],
    )
    assert done.records == {"received": 8, "created": 4, "updated": 4}
    assert "goes by the profile" in done.log
    if world not in PROTECTED:
        without, as_before, most = synced(sync, world, tmp_path, with_profile=False)
        assert (without.records, as_before) == (done.records, held)
        assert requests <= most


@pytest.mark.parametrize("world", sorted(PROTECTED), ids=lambda name: name.replace(" ", "_"))
def test_a_plan_goes_by_the_profile_too(world: str, sync: Run, tmp_path: Path) -> None:
    options = WORLDS[world]
    with new_sandbox(SandboxOptions(strict=True, **options)) as apollo:
        messages = rows(apollo)
        path = write_profile(tmp_path, apollo, options)

        planned = sync(messages, sandbox=apollo, profile_path=path, dry_run=True)
        assert "goes by the profile" in planned.log
        done = sync(messages, sandbox=apollo, profile_path=path)

        assert planned.records == done.records


def test_with_a_profile_no_put_is_sent_after_a_refused_patch(sync: Run, tmp_path: Path) -> None:
    _, _, without = synced(sync, "PATCH is no route", tmp_path, with_profile=False)
    _, _, requests = synced(sync, "PATCH is no route", tmp_path, with_profile=True)

    assert requests == without - 1


def test_no_creation_overwrites_what_sales_own_where_a_profile_tells_of_it(
    sync: Run, tmp_path: Path
) -> None:
    options = WORLDS["what exists is overwritten"]
    for known in (False, True):
        with new_sandbox(SandboxOptions(strict=True, **options)) as apollo:
            apollo.store.add_contact(email="p1@a.com", title="by sales")
            (tmp_path / "ledger.db").unlink(missing_ok=True)
            path = write_profile(tmp_path, apollo, options) if known else ""

            sync(
                [schema("contacts"), contact(1, title="by the warehouse")],
                sandbox=apollo,
                field_policy={"title": "fill_if_empty"},
                profile_path=path,
            )

            assert titles(apollo) == {"p1@a.com": "by sales" if known else "by the warehouse"}


def test_a_row_that_comes_twice_makes_one_record_where_apollo_recognises_none(
    sync: Run, tmp_path: Path
) -> None:
    options = WORLDS["what exists is made again"]
    late = SandboxOptions(strict=True, search_lag_seconds=60, **options)
    with new_sandbox(late) as apollo:
        apollo.store.add_contact(email="p1@a.com", title="old")
        path = write_profile(tmp_path, apollo, options)
        twice = [contact(n, title=f"T{turn}") for turn in range(2) for n in range(1, 4)]

        done = sync(
            [schema("contacts"), *twice],
            sandbox=apollo, profile_path=path, ledger_url="", batch_size=1, parallel_requests=1,
        )  # fmt: skip

        assert done.exit_code == 0
        assert titles(apollo) == {f"p{n}@a.com": "T1" for n in range(1, 4)}
        assert len(apollo.store.contacts()) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Fault(CREATE, FaultKind.RESET_AFTER_WRITE),
        Fault(CREATE, FaultKind.RECORDS_LEFT_OUT, records=2),
    ],
    ids=lambda fault: fault.kind.value,
)
def test_what_an_answer_hides_is_not_made_again_where_apollo_recognises_none(
    fault: Fault, sync: Run, tmp_path: Path
) -> None:
    options = WORLDS["what exists is made again"]
    with new_sandbox(SandboxOptions(strict=True, **options)) as apollo:
        path = write_profile(tmp_path, apollo, options)
        messages = [schema("contacts"), *map(contact, range(4))]
        apollo.inject(fault)

        sync(messages, sandbox=apollo, profile_path=path)
        again = sync(messages, sandbox=apollo, profile_path=path, full_resync=True)

        assert again.exit_code == 0
        assert sorted(titles(apollo)) == [f"p{n}@a.com" for n in range(4)]
        assert len(apollo.store.contacts()) == 4


def test_a_namesake_keeps_its_owner_where_the_owner_of_a_creation_would_reach_it(
    sync: Run, tmp_path: Path
) -> None:
    options = WORLDS["the owner reaches existing records"]
    with new_sandbox(SandboxOptions(strict=True, **options)) as apollo:
        rep = apollo.store.add_user(email="rep@team.com")["id"]
        name = {"first_name": "Ann", "last_name": "Lee", "organization_name": "Acme"}
        owned = apollo.store.add_contact(email="ann@acme.com", **name)["owner_id"]
        path = write_profile(tmp_path, apollo, options)
        rows = {name: {} for name in ("id", "email", "owner_id", *name)}

        sync(
            [
                schema("contacts", {"properties": rows}),
                contact(1, **{**name, "email": "other-ann@acme.com"}, owner_id=rep),
            ],
            sandbox=apollo,
            profile_path=path,
        )

        assert by_email(apollo)["ann@acme.com"]["owner_id"] == owned


@pytest.mark.parametrize("other", [{"team": "0" * 16}, {"host": "api.elsewhere.com"}])
def test_a_profile_of_another_team_or_address_is_not_used_and_that_is_said(
    other: dict[str, str], sync: Run, tmp_path: Path
) -> None:
    options = WORLDS["what exists is made again"]
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        path = write_profile(tmp_path, apollo, options, **other)

        done = sync([schema("contacts"), contact(1)], sandbox=apollo, profile_path=path)

        assert done.records == {"received": 1, "created": 1}
        assert done.log.count("is of another Apollo team or another address") == 1
        assert apollo.count("POST /contacts/search") == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ("{}", "does not tell its format"),
        ('{"format": 2}', "has format 2, which a newer release writes"),
        ('{"format": 1}', "lacks a part"),
        ("\\udcff", "is no text"),
    ],
)
def test_a_profile_that_can_not_be_read_ends_the_run_before_it_writes(
    text: str, why: str, sync: Run, apollo: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(b"\xff" if "udcff" in text else text.encode())

    done = sync([schema("contacts"), contact(1)], profile_path=str(path))

    assert done.exit_code == 2
    assert f"{why}: run `apollo-sync probe` again, or remove the file." in done.log
    assert apollo.count(CREATE) == 0


def test_an_empty_profile_path_is_a_run_without_a_profile(sync: Run, apollo: Sandbox) -> None:
    done = sync([schema("contacts"), contact(1)], profile_path="")

    assert "profile" not in done.log
