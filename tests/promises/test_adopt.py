"""`apollo-sync adopt`: a team that comes from another tool starts without a write."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo.endpoints import READING
from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, PendingFields, Place, match_hash
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from tests.helpers.commands import run_command
from tests.helpers.new_sandbox import new_sandbox
from tests.ledger.conftest import postgresql_server, postgresql_url  # noqa: F401 - fixtures
from tests.promises.conftest import Message, TargetRun, lines_of, record, schema, state

Sync = Callable[..., TargetRun]
APOLLO_SYNC = Path(sys.executable).with_name("apollo-sync")


class Adopt:
    """The command as the user calls it, inside the test, with the messages in a file."""

    def __init__(self, config: Callable[..., Path], apollo: Sandbox) -> None:
        self.config = config
        self.apollo = apollo
        self.log = ""

    def __call__(self, messages: Iterable[Message | str], *, code: int = 0, **settings: Any) -> str:
        config = self.config(self.apollo, **settings)
        given = config.with_name("given.singer")
        given.write_bytes(lines_of(messages))
        out, log = io.StringIO(), io.StringIO()
        assert run_command(["adopt", "--config", str(config), str(given)], out, log) == code
        self.log = log.getvalue()
        return out.getvalue()


@pytest.fixture
def adopt(target_config: Callable[..., Path], apollo: Sandbox) -> Adopt:
    return Adopt(target_config, apollo)


@contextmanager
def only_reads(apollo: Sandbox) -> Iterator[None]:
    apollo.reset_log()
    yield
    assert {seen.endpoint for seen in apollo.requests} <= READING


def rows(many: int = 3, **values: Any) -> list[Message]:
    return [
        schema("contacts"),
        *(
            record("contacts", id=n, email=f"p{n}@firm.com", first_name=f"Name{n}", **values)
            for n in range(many)
        ),
        state({"at": many}),
    ]


def seed(apollo: Sandbox, many: int = 3, **values: Any) -> list[str]:
    return [
        apollo.store.add_contact(**{"email": f"p{n}@firm.com", "first_name": f"Name{n}", **values})[
            "id"
        ]
        for n in range(many)
    ]


def writes(apollo: Sandbox) -> list[str]:
    return [seen.endpoint for seen in apollo.requests if seen.endpoint not in READING]


def test_a_first_run_after_it_writes_nothing_where_values_are_equal(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    seed(apollo, 250)
    with only_reads(apollo):
        told = adopt(rows(250))
    assert "250 have a record with their values: the first run sends nothing for them" in told
    assert len(apollo.requests) <= 3 + 4
    apollo.reset_log()
    run = sync(rows(250))
    assert run.records == {"received": 250, "unchanged": 250}
    assert writes(apollo) == []
    assert len(apollo.requests) <= 2


def test_a_record_that_differs_is_linked_and_written_by_the_first_run(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    ids = seed(apollo)
    with only_reads(apollo):
        told = adopt(rows(title="Boss"))
    assert "3 have a record with other values" in told
    run = sync(rows(title="Boss"))
    assert run.records == {"received": 3, "updated": 3}
    assert apollo.store.contact_by_id[ids[0]].own["title"] == "Boss"
    assert len(apollo.store.contact_by_id) == 3


def test_rows_that_are_still_to_be_written_do_not_count_as_synced(
    apollo: Sandbox, adopt: Adopt, ledger: Callable[[], Ledger]
) -> None:
    # The mapper's rule `not_synced` drops what counts as synced until it changes.
    seed(apollo, 2)
    messages = rows(2)
    messages[2]["record"]["title"] = "Boss"
    adopt(messages)
    with ledger() as opened:
        assert set(opened.synced_at("contacts", ["0", "1"])) == {"0"}


@pytest.mark.full
def test_values_that_cost_a_request_each_are_not_sent_where_the_record_has_them(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    # A mobile phone is only taken one by one.
    sync(rows(mobile_phone="+1 202 555 0100"), ledger_url="")
    adopt(rows(mobile_phone="+1 202 555 0100", title="Boss"))
    apollo.reset_log()
    run = sync(rows(mobile_phone="+1 202 555 0100", title="Boss"))
    assert run.records == {"received": 3, "updated": 3}
    sent = [seen.body for seen in apollo.requests if seen.endpoint in writes(apollo)]
    assert [body["title"] for body in sent] == ["Boss"] * 3
    assert not any("mobile_phone" in body for body in sent)


def test_rows_that_are_not_in_apollo_are_told_and_created_by_the_first_run(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    seed(apollo, 2)
    with only_reads(apollo):
        assert "1 are not in Apollo" in adopt(rows(3))
    assert sync(rows(3)).records == {"received": 3, "created": 1, "unchanged": 2}


def test_a_row_with_two_records_is_not_linked_and_its_key_is_told(
    apollo: Sandbox, adopt: Adopt, ledger: Callable[[], Ledger]
) -> None:
    seed(apollo)
    seed(apollo, 1)
    told = adopt(rows())
    assert "1 are not linked" in told
    assert "keys: 0" in told
    with ledger() as opened:
        assert set(opened.links(place(apollo), ["0", "1", "2"])) == {"1", "2"}


def test_a_row_whose_keys_lead_to_two_records_is_left_to_the_first_run(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    profile = "http://www.linkedin.com/in/ada"
    seed(apollo, 1)
    seed(apollo, 1, email="ada@other.com", linkedin_url=profile)
    row = [
        schema("contacts", {"properties": {name: {} for name in ("id", "email", "linkedin_url")}}),
        record("contacts", id=0, email="p0@firm.com", linkedin_url=profile),
    ]
    match_on = ["email", "linkedin_url"]
    assert "1 are not linked" in adopt(row, match_on=match_on)
    assert sync(row, match_on=match_on).records == {"received": 1, "rejected": 1}
    assert writes(apollo) == []


@pytest.mark.parametrize(("name", "fate"), [("Name0", "equal"), ("Boss", "ambiguous")])
def test_a_further_address_of_somebody_with_another_name_links_no_row(
    apollo: Sandbox, adopt: Adopt, sync: Sync, name: str, fate: str
) -> None:
    apollo.store.add_contact(
        email="main@firm.com", additional_emails=["p0@firm.com"], first_name=name
    )
    told = adopt(rows(1))
    assert ("1 are not linked" in told) is (fate == "ambiguous")
    run = sync(rows(1))
    assert run.records.get("rejected", 0) == (fate == "ambiguous")
    assert apollo.store.contacts()[0]["first_name"] == name


def test_a_record_that_a_row_of_another_stream_has_by_another_address_is_not_linked(
    apollo: Sandbox, adopt: Adopt, ledger: Callable[[], Ledger]
) -> None:
    (apollo_id,) = seed(apollo, 1)
    other = Place(apollo.store.team_id, "contact", "people")
    outcome = LinkOutcome("1", LinkStatus.UPDATED, apollo_id, "h", match_hash=match_hash("new@b.c"))
    with ledger() as opened, opened.lock(apollo.store.team_id, "people", "r"):
        opened.record_outcomes(other, "r", [outcome])
    assert "1 are not linked" in adopt(rows(1))


def test_two_rows_with_one_record_share_no_link(
    apollo: Sandbox, adopt: Adopt, ledger: Callable[[], Ledger]
) -> None:
    seed(apollo, 1)
    both = [*rows(1)[:-1], record("contacts", id=7, email="p0@firm.com", first_name="Name0")]
    told = adopt(both)
    assert "1 have a record with their values" in told
    assert "1 are not linked" in told
    with ledger() as opened:
        assert set(opened.links(place(apollo), ["0", "7"])) == {"0"}


def test_a_second_adoption_changes_no_link(
    apollo: Sandbox, adopt: Adopt, ledger: Callable[[], Ledger]
) -> None:
    seed(apollo, 2)
    adopt(rows(3))
    with ledger() as opened:
        before = opened.links(place(apollo), ["0", "1", "2"])
    apollo.reset_log()
    told = adopt(rows(2))
    assert "2 were in the ledger before" in told
    assert apollo.count("POST /contacts/search") == 0
    with ledger() as opened:
        assert opened.links(place(apollo), ["0", "1", "2"]) == before


def test_a_link_to_another_record_stays(
    apollo: Sandbox, adopt: Adopt, sync: Sync, ledger: Callable[[], Ledger]
) -> None:
    sync(rows(1))
    with ledger() as opened:
        before = opened.links(place(apollo), ["0"])
    # In Apollo the address went to another record, and in the source the row has changed.
    own, other = before["0"].apollo_id, seed(apollo, 1)[0]
    assert own != other
    apollo.store.contact_by_id[own].own["email"] = "former@firm.com"
    adopt(rows(1, title="Boss"))
    with ledger() as opened:
        assert opened.links(place(apollo), ["0"]) == before


def test_a_difference_that_was_mended_in_apollo_is_linked_in_full_by_the_next_adoption(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    ids = seed(apollo, 1)
    assert "1 have a record with other values" in adopt(rows(1, title="Boss"))
    apollo.store.contact_by_id[ids[0]].own["title"] = "Boss"
    assert "1 have a record with their values" in adopt(rows(1, title="Boss"))
    apollo.reset_log()
    assert sync(rows(1, title="Boss")).records == {"received": 1, "unchanged": 1}
    assert writes(apollo) == []


def test_values_that_a_policy_protects_need_no_write(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    policy = {"title": "fill_if_empty"}
    ids = seed(apollo, title="Chosen by sales")
    assert "3 have a record with their values" in adopt(rows(title="Boss"), field_policy=policy)
    apollo.reset_log()
    sync(rows(title="Boss"), field_policy=policy)
    assert writes(apollo) == []
    assert apollo.store.contact_by_id[ids[0]].own["title"] == "Chosen by sales"


def test_rows_that_can_t_be_used_are_left_to_the_first_run(
    apollo: Sandbox, adopt: Adopt, sync: Sync, tmp_path: Path
) -> None:
    seed(apollo)
    bad = [*rows(2), record("contacts", id=9, email="none"), record("contacts", id=8)]
    bad.append(record("contacts", id=2, email="p2@firm.com", owner_email="nobody@firm.com"))
    told = adopt(bad)
    assert "3 can't be read, or name what Apollo does not know" in told
    assert not (tmp_path / "rejects.singer").exists()
    assert len(sync(bad).rejects) == 3


def test_names_of_owners_and_stages_are_compared(apollo: Sandbox, adopt: Adopt, sync: Sync) -> None:
    named = {"owner_email": "robin.rep@sandbox.example", "contact_stage": "Interested"}
    sync(rows(**named), ledger_url="")
    assert "3 have a record with their values" in adopt(rows(**named))
    apollo.reset_log()
    assert sync(rows(**named)).records == {"received": 3, "unchanged": 3}
    assert writes(apollo) == []


def test_accounts_are_matched_by_domain_and_contacts_find_them_without_a_look_up(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    properties: Message = {name: {} for name in ("id", "email", "account_domain")}
    both = [
        schema("accounts"),
        *(record("accounts", id=n, domain=f"firm{n}.com", name=f"Firm {n}") for n in range(5)),
        schema("contacts", {"properties": properties}),
        *(
            record("contacts", id=n, email=f"p{n}@firm{n}.com", account_domain=f"firm{n}.com")
            for n in range(5)
        ),
    ]
    sync(both, ledger_url="")
    with only_reads(apollo):
        told = adopt(both)
    assert told.count("5 have a record with their values") == 2
    assert apollo.count("POST /accounts/search") == 1
    apollo.reset_log()
    assert sync(both).records == {"received": 10, "unchanged": 10}
    assert writes(apollo) == []


def test_missing_accounts_are_not_made(apollo: Sandbox, adopt: Adopt, sync: Sync) -> None:
    seed(apollo, 1)
    named = [
        schema(
            "contacts", {"properties": {name: {} for name in ("id", "email", "account_domain")}}
        ),
        record("contacts", id=0, email="p0@firm.com", account_domain="nowhere.com"),
    ]
    with only_reads(apollo):
        adopt(named, missing_accounts="create")
    assert apollo.store.account_by_id == {}
    sync(named, missing_accounts="create")
    assert len(apollo.store.account_by_id) == 1


def test_rows_are_matched_by_the_keys_of_match_on(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    field = apollo.store.add_custom_field("contact", "ERP id", "string")
    apollo.store.add_contact(email="ann@former.com", typed_custom_fields={field["id"]: "7"})
    settings = {"match_on": ["custom:ERP id", "email"], "custom_fields": {"erp": "ERP id"}}
    row = [
        schema("contacts", {"properties": {name: {} for name in ("id", "email", "erp")}}),
        record("contacts", id=1, email="ann@former.com", erp="7"),
    ]
    assert "1 have a record with their values" in adopt(row, **settings)
    apollo.reset_log()
    assert sync(row, **settings).records == {"received": 1, "unchanged": 1}
    assert writes(apollo) == []


def test_a_row_that_names_its_record_is_linked_to_it(
    apollo: Sandbox, adopt: Adopt, ledger: Callable[[], Ledger]
) -> None:
    first, second = seed(apollo, 1)[0], seed(apollo, 1)[0]
    assert first != second
    adopt([schema("contacts"), record("contacts", id=0, email="p0@firm.com", apollo_id=second)])
    with ledger() as opened:
        assert opened.links(place(apollo), ["0"])["0"].apollo_id == second


def test_links_of_an_adoption_without_a_source_are_those_of_the_first_run_with_one(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    seed(apollo)
    adopt(rows())
    apollo.reset_log()
    run = sync(rows(), source="tap-postgres")
    assert run.records == {"received": 3, "unchanged": 3}
    assert writes(apollo) == []


@pytest.mark.full
@pytest.mark.parametrize("seed_number", range(3))
def test_apollo_holds_after_the_first_run_what_it_would_hold_without_an_adoption(
    apollo: Sandbox, adopt: Adopt, sync: Sync, tmp_path: Path, seed_number: int
) -> None:
    chance = random.Random(seed_number)
    titles = (None, "Boss", "Clerk")

    def values(number: int) -> Message:
        title = chance.choice(titles)
        more = {} if title is None else {"title": title}
        return {"email": f"p{number}@firm.com", "first_name": f"Name{chance.randrange(2)}", **more}

    there = [values(chance.randrange(20)) for _ in range(25)]
    messages = [schema("contacts")]
    messages += [record("contacts", id=n, **values(chance.randrange(30))) for n in range(40)]
    with new_sandbox(SandboxOptions(strict=True)) as other:
        for sandbox in (apollo, other):
            for one in there:
                sandbox.store.add_contact(**one)
        sync(messages, sandbox=other, ledger_url=f"sqlite:///{tmp_path}/other.db")
        with only_reads(apollo):
            adopt(messages)
        first = sync(messages)
        assert held(apollo) == held(other)
    assert first.records.get("rejected", 0) == 0


def held(apollo: Sandbox) -> Counter[tuple[Any, ...]]:
    names = ("email", "first_name", "title")
    return Counter(tuple(one.get(name) for name in names) for one in apollo.store.contacts())


def test_mode_insert_links_what_exists_and_changes_none_of_it(
    apollo: Sandbox, adopt: Adopt, sync: Sync
) -> None:
    seed(apollo)
    adopt(rows(title="Boss"), mode="insert")
    apollo.reset_log()
    assert sync(rows(title="Boss"), mode="insert").records == {"received": 3, "existing": 3}
    assert writes(apollo) == []


def test_a_quota_that_is_used_up_links_nothing_and_says_so(apollo: Sandbox, adopt: Adopt) -> None:
    seed(apollo)
    apollo.inject(
        Fault(
            endpoint="POST /contacts/search",
            kind=FaultKind.RATE_LIMITED,
            retry_after=50_000,
            times=None,
        )
    )
    assert "POST /contacts/search" in adopt(rows(), code=3)


def test_values_that_wait_to_be_sent_are_left_alone(
    apollo: Sandbox, adopt: Adopt, ledger: Callable[[], Ledger]
) -> None:
    ids = seed(apollo)
    waiting = PendingFields(place(apollo), "0", ids[0], {"mobile_phone": "+12025550100"}, (), {})
    with ledger() as opened, opened.lock(apollo.store.team_id, "contacts", "r"):
        opened.change_pending_fields(place(apollo), {}, [waiting])
    with only_reads(apollo):
        adopt(rows())
    with ledger() as opened:
        assert opened.has_pending_fields()


def test_the_report_tells_of_it(
    apollo: Sandbox, adopt: Adopt, target_config: Callable[..., Path]
) -> None:
    seed(apollo)
    adopt(rows())
    out = io.StringIO()
    config = str(target_config(apollo))
    assert run_command(["report", "--config", config], out, io.StringIO()) == 0
    assert "adopt" in out.getvalue()


def test_without_a_ledger_there_is_nothing_to_fill(apollo: Sandbox, adopt: Adopt) -> None:
    adopt(rows(), code=2, ledger_url="")
    assert apollo.requests == []


def test_a_run_of_the_stream_at_the_same_time_is_told(
    apollo: Sandbox, adopt: Adopt, ledger: Callable[[], Ledger]
) -> None:
    seed(apollo)
    with ledger() as opened, opened.lock(apollo.store.team_id, "contacts", "other"):
        adopt(rows(), code=2)
    assert "Run other" in adopt.log


@pytest.mark.full
def test_the_pipeline_of_a_user_links_rows_and_runs_without_a_write(
    apollo: Sandbox, target_config: Callable[..., Path], run_target: Sync
) -> None:
    seed(apollo)
    config = target_config(apollo)
    done = subprocess.run(
        [APOLLO_SYNC, "adopt", "--config", str(config)],
        input=lines_of(rows()), capture_output=True, timeout=120, cwd=config.parent, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"3 have a record with their values" in done.stdout
    assert b"@" not in done.stderr
    apollo.reset_log()
    run = run_target(rows())
    assert run.records == {"received": 3, "unchanged": 3}
    assert writes(apollo) == []


@pytest.mark.full
def test_a_ledger_in_postgresql_is_filled_alike(
    apollo: Sandbox,
    adopt: Adopt,
    sync: Sync,
    postgresql_url: str,  # noqa: F811
) -> None:
    seed(apollo)
    assert "3 have a record with their values" in adopt(rows(), ledger_url=postgresql_url)
    assert "3 were in the ledger before" in adopt(rows(), ledger_url=postgresql_url)
    apollo.reset_log()
    run = sync(rows(), ledger_url=postgresql_url)
    assert run.records == {"received": 3, "unchanged": 3}
    assert writes(apollo) == []


@pytest.mark.full
def test_ten_thousand_rows_of_ten_thousand_records_cost_their_pages(
    free: Sandbox, target_config: Callable[..., Path], sync: Sync
) -> None:
    adopt = Adopt(target_config, free)
    seed(free, 10_000)
    with only_reads(free):
        assert "10,000 have a record with their values" in adopt(rows(10_000))
    assert len(free.requests) <= 110
    free.reset_log()
    assert sync(rows(10_000), sandbox=free).records == {"received": 10_000, "unchanged": 10_000}
    assert len(free.requests) <= 2


@pytest.fixture
def ledger(tmp_path: Path) -> Callable[[], Ledger]:
    return lambda: Ledger.open(f"sqlite:///{tmp_path}/ledger.db")


def place(apollo: Sandbox) -> Place:
    return Place(apollo.store.team_id, "contact", "contacts")
