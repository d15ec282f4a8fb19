"""A key that may not read or search contacts: only rows whose record is in doubt are rejected."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.worlds import World
from tests.promises.conftest import CONTACT_SCHEMA, Run, schema
from tests.promises.identity.people import people, person

ENTRIES = ["users/api_profile", "fields/index", "contacts/bulk_create", "contacts/update"]


@pytest.mark.parametrize("missing", ["show", "search"])
def test_one_changed_address_costs_no_other_row_and_no_later_run(sync: Run, missing: str) -> None:
    may = [*ENTRIES, *({"contacts/show", "contacts/search"} - {f"contacts/{missing}"})]
    keys = {"narrow": [f"api/v1/{entry}" for entry in may]}
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as apollo:
        world = World(apollo, sync, {"sandbox": apollo})
        world.run(people([1, 2, 3]))
        rows = [schema("contacts"), person(1, 1, email="new@a.com")]
        rows += [person(n, n, title="Buyer") for n in (2, 3)]

        for updated in (2, 0):
            done = world.run(rows)

            assert done.exit_code == 0, done.log
            assert done.records["rejected"] == 1
            assert done.records.get("updated", 0) == updated
            if updated:
                assert done.reasons == ["identity_conflict"]
                assert "can't be asked" in done.rejects[0]["record"]["_reject"]["detail"]


def test_a_crm_id_is_not_believed_where_nobody_can_ask_who_has_the_address(sync: Run) -> None:
    keys = {"narrow": [f"api/v1/{entry}" for entry in ENTRIES]}
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as apollo:
        world = World(apollo, sync, {"sandbox": apollo})
        apollo.store.add_contact(email="first@b.com", first_name="Ann1", hubspot_vid="4711")
        apollo.store.add_contact(email="p1@a.com", first_name="Ann1")
        before = world.records()
        columns = {"properties": {**CONTACT_SCHEMA["properties"], "hubspot_id": {}}}
        rows = [schema("contacts", columns), person(1, 1, hubspot_id="4711"), person(2, 2)]

        done = world.run(rows)

        assert (done.exit_code, done.reasons) == (0, ["identity_conflict"]), done.log
        assert [one for one in world.records() if one in before] == before
        assert "can't be asked" in done.rejects[0]["record"]["_reject"]["detail"]
