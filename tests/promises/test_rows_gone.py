"""Which rows count as gone for `on_delete`, and which contacts stay where they are."""

from __future__ import annotations

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.updates import STAGES, titles
from tests.promises.conftest import DATED, Message, Run, contact, record, schema

WHOLE: Message = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}


def deleted(number: int, **values: object) -> Message:
    return record("contacts", id=number, _sdc_deleted_at="2026-01-01T00:00:00Z", **values)


def stages(apollo: Sandbox) -> dict[str, str]:
    names = {one["id"]: one["name"] for one in apollo.store.contact_stages}
    return {str(one["email"]): names[one["contact_stage_id"]] for one in apollo.store.contacts()}


def a_stage(apollo: Sandbox) -> str:
    return str(apollo.store.contact_stages[-1]["name"])


def test_a_change_and_a_deletion_in_one_batch_write_no_protected_field(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Sales' word")

    sync(
        [schema("contacts"), contact(1, title="Row's word"), deleted(1, email="p1@a.com")],
        on_delete=f"stage:{a_stage(apollo)}",
        field_policy={"title": "create_only"},
    )

    assert titles(apollo) == {"p1@a.com": "Sales' word"}
    assert stages(apollo) == {"p1@a.com": a_stage(apollo)}


def test_a_contact_stays_while_another_row_has_its_address(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    twins = [contact(1), contact(2, email="p1@a.com")]
    sync([schema("contacts"), *twins], on_delete=gone)

    sync([schema("contacts"), deleted(2, email="p1@a.com")], on_delete=gone)

    assert stages(apollo)["p1@a.com"] != a_stage(apollo)


def test_a_contact_stays_while_a_table_holds_another_row_of_its_address(
    apollo: Sandbox, sync: Run
) -> None:
    gone = f"stage:{a_stage(apollo)}"
    twins = [contact(1), contact(2, email="p1@a.com")]
    sync([schema("contacts"), *twins, WHOLE], on_delete=gone)

    sync([schema("contacts"), twins[0], WHOLE], on_delete=gone)

    assert stages(apollo)["p1@a.com"] != a_stage(apollo)


def test_a_contact_moves_when_all_rows_of_its_address_are_deleted(
    apollo: Sandbox, sync: Run
) -> None:
    gone = f"stage:{a_stage(apollo)}"
    twins = [contact(1), contact(2, email="p1@a.com")]
    sync([schema("contacts"), *twins], on_delete=gone)

    sync([schema("contacts"), deleted(1), deleted(2)], on_delete=gone)

    assert stages(apollo)["p1@a.com"] == a_stage(apollo)


def test_rows_before_a_change_of_the_schema_are_not_gone(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync([schema("contacts"), contact(1), contact(2), WHOLE], on_delete=gone)

    sync(
        [schema("contacts"), contact(1), schema("contacts", DATED), contact(2), WHOLE],
        on_delete=gone,
    )

    assert a_stage(apollo) not in stages(apollo).values()


def test_a_line_that_is_too_long_makes_no_row_gone(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync([schema("contacts"), contact(1), contact(2), WHOLE], on_delete=gone)

    long = contact(2, title="x" * 9_000_000)
    sync([schema("contacts"), contact(1), long, WHOLE], on_delete=gone)

    assert a_stage(apollo) not in stages(apollo).values()


def test_a_row_that_a_stream_map_filters_out_is_not_gone(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    rows = [schema("contacts"), contact(1), contact(2), WHOLE]
    sync(rows, on_delete=gone)

    sync(rows, on_delete=gone, stream_maps={"contacts": {"__filter__": "id != 2"}})

    assert a_stage(apollo) not in stages(apollo).values()


def test_rows_that_an_incremental_stream_does_not_send_again_are_not_gone(
    apollo: Sandbox, sync: Run
) -> None:
    gone = f"stage:{a_stage(apollo)}"
    incremental = {**schema("contacts", DATED), "bookmark_properties": ["updated_at"]}
    sync([incremental, contact(1), contact(2)], on_delete=gone)

    sync([incremental, contact(2, title="B"), WHOLE], on_delete=gone, max_updates=100)

    assert a_stage(apollo) not in stages(apollo).values()


def test_mode_insert_moves_no_record_of_a_row_that_a_table_no_longer_holds(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_contact(email="p1@a.com", title="Somebody else's")
    settings = {"on_delete": f"stage:{a_stage(apollo)}", "mode": "insert"}
    sync([schema("contacts"), contact(1), contact(2), WHOLE], **settings)

    sync([schema("contacts"), contact(2), WHOLE], **settings)

    assert stages(apollo)["p1@a.com"] != a_stage(apollo)


def test_a_stream_map_that_renames_keeps_what_is_gone(apollo: Sandbox, sync: Run) -> None:
    settings = {
        "on_delete": f"stage:{a_stage(apollo)}",
        "stream_maps": {"people": {"__alias__": "contacts"}},
    }

    def people(*numbers: int) -> list[Message]:
        rows = [{**contact(n), "stream": "people"} for n in numbers]
        return [{**schema("contacts"), "stream": "people"}, *rows, {**WHOLE, "stream": "people"}]

    sync(people(1, 2), **settings)
    sync(people(1), **settings)

    assert stages(apollo)["p2@a.com"] == a_stage(apollo)
    assert stages(apollo)["p1@a.com"] != a_stage(apollo)


def test_a_limited_run_calls_no_row_gone(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync([schema("contacts"), contact(1), contact(2), WHOLE], on_delete=gone)

    sync([schema("contacts"), contact(1), contact(2), WHOLE], on_delete=gone, max_records=1)

    assert a_stage(apollo) not in stages(apollo).values()


def test_an_unknown_stream_of_an_activated_version_is_nothing(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    other = {**WHOLE, "stream": "elsewhere"}

    done = sync(
        [other, WHOLE, schema("contacts"), WHOLE, contact(1), WHOLE, WHOLE, other], on_delete=gone
    )

    assert done.exit_code == 0
    assert done.records == {"received": 1, "created": 1}


def test_a_closed_endpoint_is_asked_once_for_rows_that_are_gone(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync([schema("contacts"), *[contact(n) for n in range(20)], WHOLE], on_delete=gone)
    apollo.inject(Fault(endpoint=STAGES, kind=FaultKind.ERROR_BEFORE_WRITE, status=403, times=None))
    apollo.reset_log()

    sync([schema("contacts"), *[contact(n) for n in range(10)], WHOLE], on_delete=gone)

    assert apollo.count(STAGES) == 1


def test_a_row_that_takes_the_place_of_a_deleted_one_keeps_its_contact(
    apollo: Sandbox, sync: Run
) -> None:
    settings = {"on_delete": f"stage:{a_stage(apollo)}"}
    sync([schema("contacts"), contact(1)], **settings)

    sync([schema("contacts"), contact(2, email="p1@a.com"), deleted(1)], **settings)

    assert stages(apollo)["p1@a.com"] != a_stage(apollo)


def test_a_twin_that_comes_and_goes_in_one_batch_moves_no_contact(
    apollo: Sandbox, sync: Run
) -> None:
    twin = [contact(2, email="p1@a.com"), deleted(2, email="p1@a.com")]

    sync([schema("contacts"), contact(1), *twin], on_delete=f"stage:{a_stage(apollo)}")
    sync([schema("contacts"), *twin], on_delete=f"stage:{a_stage(apollo)}")

    assert stages(apollo)["p1@a.com"] != a_stage(apollo)


def test_a_contact_of_two_streams_moves_when_it_is_deleted_in_both(
    apollo: Sandbox, sync: Run
) -> None:
    settings = {"on_delete": f"stage:{a_stage(apollo)}"}

    def in_stream(name: str, *messages: Message) -> list[Message]:
        return [{**one, "stream": name} for one in (schema("contacts"), *messages)]

    sync([*in_stream("a-contacts", contact(1)), *in_stream("b-contacts", contact(1))], **settings)

    sync(in_stream("a-contacts", deleted(1)), **settings)
    after_the_first = stages(apollo)["p1@a.com"]
    sync(in_stream("b-contacts", contact(1, title="B")), **settings)
    sync(in_stream("b-contacts", deleted(1)), **settings)

    assert after_the_first != a_stage(apollo)
    assert stages(apollo)["p1@a.com"] == a_stage(apollo)
