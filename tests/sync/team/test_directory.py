"""Names to ids, and what is said of a name that Apollo does not know."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from target_apollo.apollo import ApiKeyAuth, ApolloClient, Transport
from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.sandbox import Sandbox
from target_apollo.sync.batch import PendingFlush
from target_apollo.sync.team import directory as directory_module
from target_apollo.sync.team.companies import Companies
from target_apollo.sync.team.directory import Directory
from tests.helpers.new_sandbox import new_sandbox

ROBIN = "robin.rep@sandbox.example"


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    with new_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def directory(apollo: Sandbox) -> Iterator[Directory]:
    transport = Transport(
        api_url=apollo.url,
        auth=ApiKeyAuth(apollo.api_key),
        max_retries=0,
        request_timeout_seconds=10,
        max_wait_seconds=1,
        parallel_requests=1,
        stop=threading.Event(),
    )
    client = ApolloClient(transport)
    logger = logging.getLogger("test")
    yield Directory(client, {}, logger, PendingFlush(), Companies(client))
    transport.close()


def refusal(directory: Directory, name: str, value: str) -> str:
    with pytest.raises(RecordError) as refused:
        directory.resolve(name, value)
    assert refused.value.rejection.reason is Reason.UNKNOWN_NAME
    return refused.value.rejection.detail


def id_of(apollo: Sandbox, email: str) -> str:
    users = apollo.store.workspace.users.values()
    (found,) = [str(user["id"]) for user in users if user["email"] == email]
    return found


def test_an_owner_is_found_by_address_whatever_its_case(
    directory: Directory, apollo: Sandbox
) -> None:
    assert directory.resolve("owner_email", f" {ROBIN.upper()} ") == id_of(apollo, ROBIN)


def test_an_owner_with_a_slip_in_the_address_is_refused_with_the_nearest_user_s_id(
    directory: Directory, apollo: Sandbox
) -> None:
    said = refusal(directory, "owner_email", "robin.repp@sandbox.example")
    assert f"(nearest is that of user {id_of(apollo, ROBIN)})" in said


@pytest.mark.parametrize("value", ["robin.repp@sandbox.example", "who@ever.example", "Robin Rep"])
def test_no_address_and_no_colleague_s_name_is_said(directory: Directory, value: str) -> None:
    said = refusal(directory, "owner_email", value)
    assert "@" not in said
    assert "obin" not in said
    assert "'owner_email'" in said


def test_a_deleted_user_is_not_suggested(directory: Directory, apollo: Sandbox) -> None:
    apollo.store.add_user(email="gone.girl@sandbox.example", deleted=True)
    assert "nearest" not in refusal(directory, "owner_email", "gone.girl@sandbox.example")


def test_after_many_unknown_owners_no_nearest_is_looked_for(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "_MOST_SUGGESTIONS", 1)
    for value, suggested in (
        ("robin.repp@sandbox.example", True),
        ("avery.admiin@sandbox.example", False),
        ("robin.repp@sandbox.example", True),
    ):
        assert ("nearest" in refusal(directory, "owner_email", value)) is suggested


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("contact_stage", "Intrested", "no contact stage 'Intrested' ('contact_stage'); did you "
         "mean 'Interested'?"),
        ("account_stage", "cold-ish", "did you mean 'Cold'?"),
        ("account_stage", "55-1234", "in 'account_stage'; it has Cold, Current Client"),
    ],
)  # fmt: skip
def test_an_unknown_stage_is_refused_with_the_ones_there_are(
    directory: Directory, name: str, value: str, said: str
) -> None:
    assert said in refusal(directory, name, value)


def test_a_stage_is_found_whatever_its_case_and_blanks(
    directory: Directory, apollo: Sandbox
) -> None:
    wanted = next(s["id"] for s in apollo.store.contact_stages if s["name"] == "Do Not Contact")
    assert directory.resolve("contact_stage", "do_not CONTACT") == wanted


def test_a_property_belongs_to_the_custom_field_of_its_label(
    directory: Directory, apollo: Sandbox
) -> None:
    field = apollo.store.add_custom_field("contact", "Lead score", "number")
    found = directory.custom_value(CONTACT, "lead_score")
    assert found is not None
    assert found[0] == field["id"]
    assert directory.custom_value(CONTACT, "score") is None


def test_a_link_to_a_shared_host_is_no_link_and_costs_no_request(
    directory: Directory, apollo: Sandbox
) -> None:
    apollo.store.add_account(domain="facebook.com", name="facebook.com")

    said = refusal(directory, "account_domain", "https://www.facebook.com/corner.cafe")

    assert "facebook.com, which many companies share" in said
    assert "'allow_domains'" in said


def test_an_owner_is_found_whatever_nobody_sees_in_the_address(
    directory: Directory, apollo: Sandbox
) -> None:
    assert directory.resolve("owner_email", f"\ufeff{ROBIN}\u200b") == id_of(apollo, ROBIN)


def test_a_stage_is_found_whatever_nobody_sees_in_its_name(directory: Directory) -> None:
    plain = directory.resolve("contact_stage", "New")
    assert directory.resolve("contact_stage", "N\u200bew\u00ad") == plain
