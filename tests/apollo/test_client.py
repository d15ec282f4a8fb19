"""The client makes, reads and changes records by the requests that Apollo documents."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.apollo import ACCOUNT_ENDPOINTS as ACCOUNTS
from target_apollo.apollo import CONTACT_ENDPOINTS as CONTACTS
from target_apollo.apollo import (
    AnswerLost,
    ApolloClient,
    BulkCreated,
    ObjectEndpoints,
    RequestRefused,
)
from tests.helpers.client_calls import CHANGES, ID, OTHER, OWNER, STAGE, Call, last_request
from tests.helpers.http_server import Reply, Server


def test_contacts_are_created_with_dedupe_owner_and_lists_for_the_whole_request(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(body={"created_contacts": [{"id": ID}], "existing_contacts": []}))

    made = client.create(CONTACTS, [{"email": "a@b.co"}], owner_id=OWNER, label_names=("Fair",))

    assert made == BulkCreated([{"id": ID}], [])
    assert last_request(server) == (
        "POST",
        "/contacts/bulk_create",
        {
            "contacts": [{"email": "a@b.co"}],
            "run_dedupe": True,
            "owner_id": OWNER,
            "append_label_names": ["Fair"],
        },
    )


def test_a_creation_says_whether_it_was_sent_more_than_once(
    server: Server, client: ApolloClient
) -> None:
    made = Reply(body={"created_contacts": [], "existing_contacts": [{"id": ID}]})
    server.answers(made, Reply(500), made)

    assert not client.create(CONTACTS, [{}]).repeated
    assert client.create(CONTACTS, [{}]).repeated


def test_accounts_are_created_with_dedupe(server: Server, client: ApolloClient) -> None:
    server.answers(Reply(body={"created_accounts": [], "existing_accounts": [{"id": ID}]}))

    assert client.create(ACCOUNTS, [{"domain": "b.co"}]) == BulkCreated([], [{"id": ID}])
    assert last_request(server) == (
        "POST",
        "/accounts/bulk_create",
        {"accounts": [{"domain": "b.co"}], "run_dedupe": True},
    )


@pytest.mark.parametrize("of", [CONTACTS, ACCOUNTS], ids=lambda of: of.singular)
def test_one_record_is_read_by_its_id(
    server: Server, client: ApolloClient, of: ObjectEndpoints
) -> None:
    server.answers(Reply(body={of.singular: {"id": ID, "name": "A"}}))

    assert client.read(of, ID) == {"id": ID, "name": "A"}
    assert last_request(server) == ("GET", f"/{of.plural}/{ID}", {})


def test_a_contact_is_updated_by_patch(server: Server, client: ApolloClient) -> None:
    server.answers(Reply(body={"contact": {"id": ID, "title": "VP"}, "labels": []}))

    assert client.update(CONTACTS, ID, {"title": "VP"}) == {"id": ID, "title": "VP"}
    assert last_request(server) == ("PATCH", f"/contacts/{ID}", {"title": "VP"})


@pytest.mark.parametrize("call", CHANGES.values(), ids=list(CHANGES))
def test_many_records_at_once_go_by_post_and_come_back_as_a_list(
    server: Server, client: ApolloClient, call: Call
) -> None:
    ask, name, path, body = call
    server.answers(Reply(body={name: [{"id": ID}]}))

    assert ask(client) == [{"id": ID}]
    assert last_request(server) == ("POST", path, body)


@pytest.mark.parametrize("call", CHANGES.values(), ids=list(CHANGES))
def test_a_background_job_confirms_nothing(
    server: Server, client: ApolloClient, call: Call
) -> None:
    server.answers(Reply(body={"entity_progress_job": {"id": ID, "status": "pending"}}))

    with pytest.raises(AnswerLost, match=r"not confirmed: .* background job") as caught:
        call[0](client)

    assert caught.value.maybe_written


def test_records_are_added_to_lists_by_name(server: Server, client: ApolloClient) -> None:
    server.answers(Reply(body={"labels": [{"id": STAGE, "name": "Fair"}]}))

    client.add_to_lists(CONTACTS, [ID, OTHER], ["Fair"])

    body = {"entity_ids": [ID, OTHER], "label_names": ["Fair"], "modality": "contacts"}
    path = "/labels/add_entity_ids_to_label_names"
    assert last_request(server) == ("POST", path, {**body, "async": False})


@pytest.mark.parametrize(
    "body",
    [
        {"labels": []},
        {"message": "Something else"},
        {"entity_progress_job": {"id": ID}},
    ],
)
def test_lists_that_are_not_named_in_the_answer_were_not_confirmed(
    server: Server, client: ApolloClient, body: Any
) -> None:
    server.answers(Reply(body=body))

    with pytest.raises(AnswerLost, match="not confirmed"):
        client.add_to_lists(CONTACTS, [ID], ["Fair"])


def test_records_of_which_apollo_knows_none_are_named_as_missing(
    server: Server, client: ApolloClient
) -> None:
    server.answers(Reply(body={"message": "No Models or Lists provided"}))

    with pytest.raises(RequestRefused) as refused:
        client.add_to_lists(CONTACTS, [ID, OTHER], ["Fair"])

    assert refused.value.names_missing_record
    assert set(refused.value.named_ids) == {ID, OTHER}


# --- what is never sent


@pytest.mark.parametrize("count", [0, 101])
def test_a_bulk_request_takes_1_to_100_records(
    server: Server, client: ApolloClient, count: int
) -> None:
    for ask in (
        lambda: client.create(CONTACTS, [{}] * count),
        lambda: client.create(ACCOUNTS, [{}] * count),
        lambda: client.bulk_update(CONTACTS, [{}] * count),
        lambda: client.bulk_update(ACCOUNTS, [{}] * count),
        lambda: client.update_owners(CONTACTS, [ID] * count, OWNER),
        lambda: client.update_owners(ACCOUNTS, [ID] * count, OWNER),
        lambda: client.update_stages(CONTACTS, [ID] * count, STAGE),
    ):
        with pytest.raises(ValueError, match="1 to 100"):
            ask()

    assert server.received == []


def test_an_object_without_an_endpoint_for_stages_is_not_sent_there(
    server: Server, client: ApolloClient
) -> None:
    with pytest.raises(LookupError, match="accounts"):
        client.update_stages(ACCOUNTS, [ID], STAGE)

    assert server.received == []


@pytest.mark.parametrize(("ids", "names"), [([], ["Fair"]), ([ID], [])])
def test_lists_need_a_record_and_a_name(
    server: Server, client: ApolloClient, ids: list[str], names: list[str]
) -> None:
    with pytest.raises(ValueError, match="at least one"):
        client.add_to_lists(CONTACTS, ids, names)

    assert server.received == []


@pytest.mark.parametrize("odd", ["", ".", "..", "../labels", "a/b", "a?b", "a#b", "a b", "%2e"])
def test_an_id_that_would_lead_elsewhere_is_not_sent(
    server: Server, client: ApolloClient, odd: str
) -> None:
    for of in (CONTACTS, ACCOUNTS):
        with pytest.raises(ValueError, match="no id"):
            client.read(of, odd)
        with pytest.raises(ValueError, match="no id"):
            client.update(of, odd, {})

    assert server.received == []
