"""What a table in mode `mirror` does to Apollo's lists: they hold its rows, no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from target_apollo.apollo.client import ApolloClient
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sync.objects import team_lists
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import Message, TargetRun, contact, record, schema, state

Run = Callable[..., TargetRun]

ADD = "POST /labels/add_entity_ids_to_label_names"
REMOVE = "POST /labels/remove_entity_ids_from_label_names"
SEARCH = "POST /contacts/search"
COLUMNS = ("id", "list", "email", "domain", "apollo_id", "member_key", "object")
MIRROR = {"streams": {"list_members": {"mode": "mirror"}}}
ALL = {**MIRROR, "mirror_scope": "all"}
GONE_AT = "2026-01-01T00:00:00Z"


def columns() -> Message:
    return schema("list_members", {"properties": {name: {} for name in COLUMNS}})


def member(number: int, name: str = "Hot", **values: Any) -> Message:
    row = {"id": number, "list": name, "email": f"p{number}@a.com", **values}
    return record("list_members", **row)


def changes(*rows: Message) -> list[Message]:
    """Rows of a tap that does not say that it sends the whole table."""
    return [columns(), *rows]


def table(*rows: Message) -> list[Message]:
    """The whole table."""
    end = {"type": "ACTIVATE_VERSION", "stream": "list_members", "version": 1}
    return [columns(), *rows, end, state({"at": 1})]


def table_of(stream: str, *rows: Message) -> list[Message]:
    """The whole table of another stream."""
    return [{**one, "stream": stream} for one in table(*rows) if one["type"] != "STATE"]


def members(numbers: Iterable[int], name: str = "Hot") -> list[Message]:
    return [member(number, name) for number in numbers]


def people(apollo: Sandbox, numbers: Iterable[int], *lists: str) -> None:
    """Contacts that somebody made in Apollo, on these lists."""
    for number in numbers:
        apollo.store.add_contact(email=f"p{number}@a.com", label_names=lists)


def on_list(apollo: Sandbox, name: str = "Hot") -> set[int]:
    ids = {label["id"] for label in apollo.store.labels() if label["name"] == name}
    return {
        int(str(one["email"]).removeprefix("p").partition("@")[0])
        for one in apollo.store.contacts()
        if ids & set(one["label_ids"])
    }


def rename(apollo: Sandbox, name: str, other: str) -> None:
    """What a person does in Apollo."""
    store = apollo.store
    with store.lock:
        label = store.workspace.label_named("contacts", name)
        assert label is not None
        store.workspace.rename_label("2026-01-01T00:00:00.000Z", label, other)


def take_off(apollo: Sandbox, number: int) -> None:
    """What a person does in Apollo."""
    store = apollo.store
    with store.lock:
        found = next(
            one for one in store.contact_by_id.values() if one.own["email"] == f"p{number}@a.com"
        )
        store.workspace.set_labels(found.own, [])
        store.changed_contact(found, store.keys_of(found))


# --- whose members a list loses


def test_members_whose_rows_are_gone_come_off_the_list(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(5))
    sync(table(*members(range(5))), **MIRROR)

    done = sync(table(*members(range(3))), **MIRROR)

    assert done.exit_code == 0, done.log
    assert on_list(apollo) == {0, 1, 2}
    assert done.records == {"received": 3, "unchanged": 3}
    assert done.summary["removed"] == {"list_members": 2}
    assert "removed 2 members whose rows are gone" in done.log
    assert apollo.count(REMOVE) == 1


def test_what_a_list_had_before_stays_on_it(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(3), "Hot")
    people(apollo, range(3, 5))

    first = sync(table(*members([2, 3, 4])), **MIRROR)
    second = sync(table(member(4)), **MIRROR)

    assert first.records == {"received": 3, "created": 2, "unchanged": 1}
    assert on_list(apollo) == {0, 1, 2, 4}
    assert second.summary["removed"] == {"list_members": 1}


def test_who_was_on_a_list_stays_on_it_though_others_change_it_while_it_is_read(
    apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(apollo, range(250), "Hot")
    first_of_page_2 = 100
    rows = members(range(first_of_page_2, first_of_page_2 + 5))
    asked = ApolloClient.on_list

    def while_a_person_works(self: ApolloClient, of: Any, label_id: str, page: int) -> Any:
        answer = asked(self, of, label_id, page)
        if page == 1:
            take_off(apollo, 0)
        return answer

    monkeypatch.setattr(ApolloClient, "on_list", while_a_person_works)
    sync(table(*rows), **MIRROR)
    sync(table(*rows[1:]), **MIRROR)

    assert on_list(apollo) == {*range(1, 250)}


def test_scope_all_takes_off_every_member_that_no_row_names(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(3), "Hot")
    people(apollo, range(3, 5))

    done = sync(table(*members([2, 3, 4])), **ALL)

    assert done.exit_code == 0, done.log
    assert on_list(apollo) == {2, 3, 4}
    assert done.summary["removed"] == {"list_members": 2}


def test_without_a_ledger_scope_all_mirrors_the_lists_that_rows_name(
    apollo: Sandbox, sync: Run
) -> None:
    people(apollo, range(3), "Hot", "Other")

    done = sync(table(member(1)), **ALL, ledger_url="")

    assert done.exit_code == 0, done.log
    assert on_list(apollo) == {1}
    assert on_list(apollo, "Other") == {0, 1, 2}
    assert done.records == {"received": 1, "unchanged": 1}


def test_without_a_ledger_a_mirror_of_our_members_ends_the_run(apollo: Sandbox, sync: Run) -> None:
    done = sync(table(member(1)), **MIRROR, ledger_url="")

    assert done.exit_code == 2
    assert "without a ledger nothing tells which members this tool has added" in done.log
    assert apollo.count(ADD) == 0


def test_mode_add_takes_nobody_off(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(2))
    sync(table(*members(range(2))))

    sync(table(member(0)))
    done = sync(changes(member(0, _sdc_deleted_at=GONE_AT)))

    assert on_list(apollo) == {0, 1}
    assert done.records == {"received": 1, "skipped": 1}
    assert "Mode 'mirror' takes them off" in done.log


def test_a_row_marked_as_deleted_leaves_its_list_at_once(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(2))
    sync(changes(*members(range(2))), **MIRROR)

    gone = record("list_members", id=1, _sdc_deleted_at=GONE_AT)
    done = sync(changes(gone), **MIRROR)
    again = sync(changes(gone, member(1)), **MIRROR)

    assert done.records == {"received": 1, "updated": 1}
    assert done.summary["removed"] == {"list_members": 1}
    assert again.exit_code == 0, again.log
    assert on_list(apollo) == {0, 1}


@pytest.mark.full
@pytest.mark.parametrize("scope", ["ours", "all"])
def test_deleted_rows_that_come_in_each_run_cost_nothing_once_their_members_are_off(
    apollo: Sandbox, sync: Run, scope: str
) -> None:
    people(apollo, range(20))
    settings = {**MIRROR, "mirror_scope": scope}
    sync(changes(*members(range(20))), **settings)
    rows = [member(0), *(member(n, _sdc_deleted_at=GONE_AT) for n in range(1, 20))]
    sync(changes(*rows), **settings, max_updates=100)
    assert on_list(apollo) == {0}
    before = apollo.count(SEARCH), apollo.count(REMOVE)

    done = sync(changes(*rows), **settings)

    assert done.records == {"received": 20, "unchanged": 20}, done.log
    assert (apollo.count(SEARCH), apollo.count(REMOVE)) == before
    assert sync(changes(member(1)), **settings).records == {"received": 1, "created": 1}
    assert on_list(apollo) == {0, 1}


def test_without_a_ledger_deleted_rows_of_members_that_are_off_stop_no_run(
    apollo: Sandbox, sync: Run
) -> None:
    people(apollo, range(20))
    people(apollo, [20], "Hot")
    rows = [member(20), *(member(n, _sdc_deleted_at=GONE_AT) for n in range(20))]

    done = sync(changes(*rows), **ALL, ledger_url="")

    assert done.records == {"received": 21, "unchanged": 21}, done.log
    assert on_list(apollo) == {20}


def test_a_deleted_row_of_lists_that_differ_by_case_alone_is_rejected(
    apollo: Sandbox, sync: Run
) -> None:
    people(apollo, [1], "hot", "Hot")

    done = sync(changes(member(1, _sdc_deleted_at=GONE_AT)), **ALL)

    assert done.reasons == ["unknown_name"], done.log


def test_changes_alone_take_nobody_off(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(3))
    sync(changes(*members(range(3))), **MIRROR)

    sync(changes(member(0)), **MIRROR)

    assert on_list(apollo) == {0, 1, 2}


# --- rows that change, and rows that share a membership


def test_a_row_with_another_list_moves_its_member(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(2))
    sync(changes(*members(range(2))), **MIRROR)

    done = sync(changes(member(1, "Cold")), **MIRROR)

    assert done.records == {"received": 1, "updated": 1}
    assert (on_list(apollo), on_list(apollo, "Cold")) == ({0}, {1})


def test_a_row_with_another_member_puts_that_one_in_its_place(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(3))
    sync(changes(*members(range(2))), **MIRROR)

    sync(changes(member(1, email="p2@a.com")), **MIRROR)

    assert on_list(apollo) == {0, 2}


def test_a_member_stays_while_one_row_wants_it(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(1))
    twice = [member(0), member(1, email="p0@a.com")]
    sync(table(*twice), **MIRROR)

    sync(table(twice[1]), **MIRROR)
    one_row = on_list(apollo)
    sync(table(member(2, "Cold", email="p0@a.com")), **MIRROR)

    assert one_row == {0}
    assert on_list(apollo) == set()


def test_a_member_that_one_row_leaves_and_another_takes_stays(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(2))
    sync(changes(member(0)), **MIRROR)

    sync(changes(member(0, email="p1@a.com"), member(7, email="p0@a.com")), **MIRROR)

    assert on_list(apollo) == {0, 1}
    assert apollo.count(REMOVE) == 0


def test_who_takes_over_a_member_of_ours_loses_it_in_the_end(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(3), "Hot")
    people(apollo, [3, 4])
    sync(changes(member(0, email="p3@a.com"), member(1, email="p4@a.com")), **MIRROR)
    gone = record("list_members", id=0, _sdc_deleted_at=GONE_AT)
    heirs = [member(7, email="p3@a.com"), member(8, email="p4@a.com")]

    sync(changes(gone, member(1, "Cold"), *heirs), **MIRROR)
    between = on_list(apollo)
    sync(
        changes(*(record("list_members", id=n, _sdc_deleted_at=GONE_AT) for n in (7, 8))), **MIRROR
    )

    assert between == {0, 1, 2, 3, 4}
    assert on_list(apollo) == {0, 1, 2}


@pytest.mark.parametrize("is_known", [True, False], ids=["ledger", "none"])
def test_a_list_that_two_streams_fill_holds_the_rows_of_both(
    apollo: Sandbox, sync: Run, is_known: bool
) -> None:
    people(apollo, range(4), "Hot")
    streams = ("old-list_members", "new-list_members")
    settings = {
        "streams": {name: {"mode": "mirror"} for name in streams},
        "mirror_scope": "all",
        **({} if is_known else {"ledger_url": ""}),
    }

    old, new = table_of(streams[0], *members([0, 1])), table_of(streams[1], member(2))
    done = sync([*old, *new, state({"at": 1})], **settings)

    assert done.exit_code == 0, done.log
    assert on_list(apollo) == {0, 1, 2}
    assert apollo.count("GET /labels") <= 3


def test_a_schema_that_changes_takes_nobody_off(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(4), "Hot")
    first, *rows, active, end = table(*members(range(3)))
    another = schema("list_members", {"properties": {name: {} for name in (*COLUMNS, "more")}})

    done = sync([first, *rows[:2], another, *rows[2:], active, end], **ALL, ledger_url="")

    assert done.exit_code == 0, done.log
    assert on_list(apollo) == {0, 1, 2}


def test_contacts_and_accounts_have_lists_of_one_name(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(1))
    account = apollo.store.add_account(name="Acme", domain="acme.com")
    rows = [member(0), member(1, email=None, apollo_id=account["id"], object="accounts")]
    sync(table(*rows), **MIRROR)

    sync(table(rows[0]), **MIRROR)

    assert on_list(apollo) == {0}
    assert apollo.store.accounts()[0]["label_ids"] == []


# --- names of lists


def test_a_list_is_found_whatever_the_case_of_its_name(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(1), "Hot")
    people(apollo, range(1, 3))

    sync(changes(member(1, "HOT"), member(2, "hot ")), **MIRROR)

    assert on_list(apollo) == {0, 1, 2}
    assert {label["name"] for label in apollo.store.labels()} == {"Hot"}


def test_lists_that_differ_by_case_alone_are_not_guessed(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(1), "Hot", "HOT")

    done = sync(changes(member(0)), **MIRROR)

    assert done.reasons == ["unknown_name"]
    assert "rename or delete all of them but one" in str(done.rejects)


@pytest.mark.full
def test_a_renamed_list_is_left_alone_and_made_again(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(2))
    sync(table(*members(range(2))), **MIRROR)
    rename(apollo, "Hot", "Hot of May")

    done = sync(table(*members(range(2))), **MIRROR)

    assert done.records == {"received": 2, "updated": 2}
    assert on_list(apollo) == on_list(apollo, "Hot of May") == {0, 1}
    assert "somebody deleted or renamed lists" in done.log


# --- against mistakes of the source


def test_many_removals_at_once_stop_the_run_with_what_to_do(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(15))
    rows = members(range(15))
    sync(table(*rows), **MIRROR)

    stopped = sync(table(*rows[:3]), **MIRROR)
    allowed = sync(table(*rows[:3]), **MIRROR, max_updates=12)

    assert stopped.exit_code == 1
    assert "12 of the 15 members of list 'Hot' (contacts) have no row" in stopped.log
    assert "set max_updates to at least that number" in stopped.log
    assert allowed.exit_code == 0
    assert on_list(apollo) == {0, 1, 2}


def test_an_empty_table_takes_nobody_off_unless_allowed(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(2))
    sync(table(*members(range(2))), **MIRROR)

    stopped = sync(table(), **MIRROR)
    before = on_list(apollo)
    allowed = sync(table(), **MIRROR, max_updates=2)

    assert (stopped.exit_code, before) == (1, {0, 1})
    assert allowed.exit_code == 0, allowed.log
    assert on_list(apollo) == set()


def test_many_deleted_rows_stop_the_run_too(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(15))
    sync(changes(*members(range(15))), **MIRROR)

    done = sync(
        changes(*(record("list_members", id=n, _sdc_deleted_at=GONE_AT) for n in range(15))),
        **MIRROR,
    )

    assert done.exit_code == 1
    assert len(on_list(apollo)) == 15


def test_a_row_that_cannot_be_read_keeps_its_member(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(2))
    sync(table(*members(range(2))), **ALL)

    done = sync(table(member(0), member(1, email="no address")), **ALL)

    assert done.reasons == ["malformed_email"]
    assert on_list(apollo) == {0, 1}


def test_a_row_whose_key_the_ledger_does_not_know_keeps_all_others_on_the_list(
    apollo: Sandbox, sync: Run
) -> None:
    people(apollo, range(3), "Hot")
    streams = {"list_members": {"mode": "mirror", "members_of": "contacts"}}

    done = sync(
        table(member(0), member(1, email=None, member_key=1)), streams=streams, mirror_scope="all"
    )

    assert done.reasons == ["unknown_name"]
    assert on_list(apollo) == {0, 1, 2}
    assert "nobody but members of former rows is taken off list 'Hot'" in done.log


def test_without_a_ledger_an_unread_row_keeps_all_others_on_the_list(
    apollo: Sandbox, sync: Run
) -> None:
    people(apollo, range(3), "Hot")

    done = sync(table(member(0), member(1, email="no address")), **ALL, ledger_url="")

    assert on_list(apollo) == {0, 1, 2}
    assert "could not be read or told from others" in done.log


# --- what Apollo says and what is so


def test_a_member_that_apollo_ignores_is_no_success(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(2))
    lost = apollo.store.contacts()[0]["id"]
    apollo.store.forget_contact(lost)

    done = sync(changes(member(1), member(2, email=None, apollo_id=lost)))

    assert done.records == {"received": 2, "created": 1, "rejected": 1}
    assert done.reasons == ["gone_from_apollo"]


def test_a_rejected_member_is_put_on_once_apollo_has_it(apollo: Sandbox, sync: Run) -> None:
    rows = changes(member(1))
    first = sync(rows)
    people(apollo, [1])

    second = sync(rows)

    assert first.reasons == ["unknown_name"]
    assert second.records == {"received": 1, "created": 1}
    assert on_list(apollo) == {1}


def test_a_member_that_a_person_took_off_comes_back(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(3))
    rows = table(*members(range(3)))
    sync(rows, **MIRROR)
    take_off(apollo, 1)

    told = sync(rows, **MIRROR)
    done = sync(rows, **MIRROR)

    assert "list 'Hot' lacks 1 member that rows name" in told.log
    assert done.records["unchanged"] == 2
    assert on_list(apollo) == {0, 1, 2}


def test_an_unchanged_table_asks_for_the_lists_once_and_no_more(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(3))
    rows = table(*members(range(3)))
    sync(rows, **MIRROR)
    before = {one: apollo.count(one) for one in ("GET /labels", ADD, REMOVE, SEARCH)}

    done = sync(rows, **MIRROR)

    assert done.records == {"received": 3, "unchanged": 3}
    after = {one: apollo.count(one) for one in before}
    assert after == {**before, "GET /labels": before["GET /labels"] + 1}


def test_a_plan_tells_the_removals_and_takes_nobody_off(apollo: Sandbox, sync: Run) -> None:
    people(apollo, range(3))
    sync(table(*members(range(3))), **MIRROR)

    done = sync(table(member(0), member(5, email="p1@a.com")), **MIRROR, dry_run=True)

    assert done.exit_code == 0, done.log
    assert done.summary["removed"] == {"list_members": 1}
    assert "Plan: 1 member would be taken off lists" in done.log
    assert on_list(apollo) == {0, 1, 2}
    assert apollo.count(REMOVE) == 0


def test_contacts_and_their_list_come_in_one_run(apollo: Sandbox, sync: Run) -> None:
    done = sync([*table(*members(range(2))), schema("contacts"), contact(0), contact(1)], **MIRROR)

    assert done.records == {"received": 4, "created": 4}
    assert on_list(apollo) == {0, 1}


# --- requests


@pytest.mark.full
def test_up_to_500_members_go_out_in_one_request(free: Sandbox, sync: Run) -> None:
    ids = [free.store.add_contact(email=f"p{n}@a.com")["id"] for n in range(1001)]
    rows = [member(n, email=None, apollo_id=apollo_id) for n, apollo_id in enumerate(ids)]

    done = sync(table(*rows), **MIRROR, sandbox=free)

    assert done.records == {"received": 1001, "created": 1001}
    assert len(on_list(free)) == 1001
    assert free.count(ADD) == 3
    assert free.count("GET /labels") == 2
    assert free.count(SEARCH) == 0


def test_late_counts_reject_nobody(sync: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True, list_counts_late=True)) as apollo:
        people(apollo, range(4))

        first = sync(table(*members(range(2))), **MIRROR, sandbox=apollo)
        second = sync(table(*members(range(4))), **MIRROR, sandbox=apollo)

        assert first.records == {"received": 2, "created": 2}
        assert second.records == {"received": 4, "created": 2, "unchanged": 2}
        assert on_list(apollo) == {0, 1, 2, 3}


def test_a_list_too_large_to_be_shown_loses_nobody_but_members_of_former_rows(
    apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team_lists, "MOST_SHOWN", 4)
    people(apollo, range(5), "Hot")
    people(apollo, range(5, 7))
    sync(table(*members([5, 6])), **ALL)

    done = sync(table(member(5)), **ALL)

    assert on_list(apollo) == {0, 1, 2, 3, 4, 5}
    assert "and Apollo shows no more of them" in done.log


def test_where_it_would_take_too_many_requests_to_tell_nobody_counts_as_ours(
    apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team_lists, "MOST_LOOKS", 0)
    people(apollo, range(2), "Hot")
    people(apollo, range(2, 4))

    done = sync(table(*members([1, 2, 3])), **MIRROR)
    sync(table(member(3)), **MIRROR)

    assert done.records == {"received": 3, "created": 3}
    assert "counts fewer members than that" in done.log
    assert on_list(apollo) == {0, 1, 2, 3}
