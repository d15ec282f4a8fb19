"""Requests and answers against Apollo's own OpenAPI documents.

The document's schemas are read off examples, so they are in places stricter than the live API.
DEVIATIONS is the whole list of what is tolerated, each with its reason; an unneeded one fails.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.checks.request_fields import TAKEN
from target_apollo.sandbox.serving.call import Endpoint
from target_apollo.sandbox.serving.endpoints import ENDPOINTS
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.new_sandbox import new_sandbox
from tests.sandbox.conftest import Client, fresh

DOCUMENT = Path(
    os.environ.get("APOLLO_OPENAPI") or Path(__file__).parents[3] / "shared" / "apollo-openapi.json"
)

pytestmark = pytest.mark.skipif(
    not DOCUMENT.is_file(),
    reason="Apollo's OpenAPI document is not there: set APOLLO_OPENAPI to its path",
)

# (endpoint, path in the answer with * for indexes and keys, tolerated difference): reason.
NULL = "null"
DEVIATIONS: dict[tuple[str, str, str], str] = {
    ("*", "contact.*", NULL): "recorded: fields of a contact that have no value are null",
    ("*", "contacts.*.*", NULL): "recorded: the same in a search",
    ("*", "accounts.*.*", NULL): "recorded: fields of an account that have no value are null",
    ("POST /contacts/bulk_create", "*_contacts.*.*", NULL): "whole objects, as in single answers",
    ("POST /accounts/bulk_create", "*_accounts.*.*", NULL): "whole objects, as in single answers",
    ("GET /users/search", "users.*.*", NULL): "recorded: what a user has not set is null",
    ("GET /users/search", "pagination.per_page", "integer"): "recorded: the page is text, this not",
    ("GET /fields", "fields.*.project_workspace_id", NULL): "the document's own example has null",
    ("GET /opportunity_stages", "opportunity_stages.*.*", NULL): "the example has nulls elsewhere",
    ("GET /opportunities/{id}", "opportunity.account.*", NULL): "as in other answers of accounts",
    ("GET /opportunities/search", "opportunities.*.account.*", NULL): "as in other answers",
    ("*", "task.*", NULL): "most tasks are about no deal",
    ("*", "tasks.*.*", NULL): "the same in a list",
    ("GET /users/api_profile", "title", NULL): "recorded: a user without a title has null",
}


def _load() -> dict[str, dict[str, Any]]:
    """Path, with ``{id}`` for each of its parameters -> method -> operation."""
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    # The second document has the deals, tasks and sequences.
    for document in (DOCUMENT, DOCUMENT.with_name(f"{DOCUMENT.stem}-more.json")):
        if document.is_file():
            for path, operations in json.loads(document.read_text())["paths"].items():
                paths[re.sub(r"\{\w+\}", "{id}", path)].update(operations)
    return paths


PATHS = _load()
#: Clients that were tested live call these; no document has them.
UNDOCUMENTED = {
    "PUT /contacts/{id}", "PUT /accounts/{id}", "POST /opportunities/search", "POST /users/search",
}  # fmt: skip


def operation(label: str) -> dict[str, Any]:
    method, _, path = label.partition(" ")
    found: dict[str, Any] = PATHS[path][method.lower()]
    return found


def without_nullable(schema: Any) -> Any:
    """A schema with OpenAPI's ``nullable`` turned into JSON Schema."""
    if isinstance(schema, list):
        return [without_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: without_nullable(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    return made


def errors(schema: Any, value: Any) -> list[ValidationError]:
    return list(Draft202012Validator(without_nullable(schema)).iter_errors(value))


def fits(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("."), path.split(".")
    return len(wanted) == len(given) and all(
        want in ("*", part) or (want.startswith("*_") and part.endswith(want[1:]))
        for want, part in zip(wanted, given, strict=True)
    )


def tolerated(label: str, error: ValidationError) -> tuple[str, str, str] | None:
    kind = {type(None): NULL, int: "integer"}.get(type(error.instance), "?")
    path = ".".join(str(part) for part in error.absolute_path)
    for entry in DEVIATIONS:
        endpoint, pattern, what = entry
        about = error.validator == "type" and endpoint in ("*", label) and what == kind
        if about and fits(pattern, path):
            return entry
    return None


def alternatives(schema: dict[str, Any], body: Any) -> list[Any]:
    """The schemas of a oneOf that know the body's keys.

    The document's alternatives overlap (they require nothing), so that none is ever the only one.
    """
    if "oneOf" not in schema:
        return [schema]
    return [one for one in schema["oneOf"] if body.keys() <= one["properties"].keys()]


def problems(label: str, schema: Any, body: Any) -> list[str]:
    return [
        f"{error.json_path}: {error.message[:200]}"
        for error in errors(schema, body)
        if tolerated(label, error) is None
    ]


def check_answer(label: str, status: int, body: Any) -> None:
    content = operation(label)["responses"][str(status)]["content"]["application/json"]
    if "schema" not in content:
        return
    tried = [problems(label, schema, body) for schema in alternatives(content["schema"], body)]
    assert [] in tried, tried


def check_request(label: str, body: Any) -> None:
    schema = operation(label)["requestBody"]["content"]["application/json"]["schema"]
    assert [error.message for error in errors(schema, body)] == []


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    """One sandbox for the whole table, since a request builds on those before it."""
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def seeded(served: Sandbox) -> dict[str, str]:
    """Ids of one record of each kind, of an owner, stages, a list and custom fields."""
    store = served.store
    store.add_account(name="Without domain and phone")
    account = store.add_account(name="Seed", domain="seed.example", label_names=["Seeds"])
    return {
        "contact": store.add_contact(
            email="seed@seed.example",
            first_name="See",
            last_name="Dee",
            account_id=account["id"],
            label_names=["Seeds"],
        )["id"],
        "account": account["id"],
        "owner": store.add_user(email="owner@seed.example", first_name="O")["id"],
        "contact_stage": store.contact_stages[1]["id"],
        "account_stage": store.account_stages[1]["id"],
        "contact_field": store.add_custom_field("contact", "Note", "string")["id"],
        "account_field": store.add_custom_field("account", "Tier", "picklist", ["A"])["id"],
        "deal_field": store.add_custom_field("opportunity", "External id", "string")["id"],
        "deal": store.deals.add(name="Seed", account_id=account["id"])["id"],
        "mailbox": store.sequences.add_email_account("rep@seed.example")["id"],
        "sequence": store.sequences.add("Spring")["id"],
        "task": store.tasks.add(note="Seed", title="Seed")["id"],
        "other_task": store.tasks.add(note="Seed", title="Seed")["id"],
        "deal_stage": store.deals.stages[1]["id"],
        "label": store.labels()[0]["id"],
    }


def exchanges(ids: dict[str, str]) -> dict[str, Any]:
    """Endpoint -> a request with every field that the target may send."""
    custom = {ids["contact_field"]: "text"}
    single_contact = {
        "first_name": "Ann", "last_name": "Lee", "title": "CEO", "email": fresh(),
        "organization_name": "X", "website_url": "https://x.example", "label_names": ["L"],
        "account_id": ids["account"], "contact_stage_id": ids["contact_stage"],
        "present_raw_address": "Dublin, Ireland", "direct_phone": "+1 555 555 0100",
        "corporate_phone": "+1 555 555 0101", "mobile_phone": "+1 555 555 0102",
        "home_phone": "+1 555 555 0103", "other_phone": "+1 555 555 0104",
        "typed_custom_fields": custom,
    }  # fmt: skip
    bulk_contact = {
        "first_name": "Bo", "last_name": "Ray", "email": fresh(), "title": "CTO",
        "organization_name": "Y", "phone": "+1 555 555 0105", "account_id": ids["account"],
        "linkedin_url": "https://www.linkedin.com/in/bo", "salesforce_id": "0031",
        "contact_stage_id": ids["contact_stage"], "hubspot_id": "71",
        "phone_numbers": [{"raw_number": "+1 555 555 0106", "position": 0}],
        "contact_emails": [{"email": fresh(), "position": 1}], "typed_custom_fields": custom,
    }  # fmt: skip
    account = {
        "name": "Z", "domain": "z.example", "owner_id": ids["owner"], "phone": "+1 555 555 0107",
        "account_stage_id": ids["account_stage"], "raw_address": "1 Road, Dublin, Ireland",
        "typed_custom_fields": {ids["account_field"]: "A"},
    }  # fmt: skip
    deal = {
        "name": "Big", "owner_id": ids["owner"], "amount": "100",
        "opportunity_stage_id": ids["deal_stage"], "closed_date": "2026-12-31",
        "typed_custom_fields": {ids["deal_field"]: "D-1"},
    }  # fmt: skip
    task = {
        "user_id": ids["owner"], "type": "call", "priority": "high", "status": "scheduled",
        "due_at": "2026-12-31T10:00:00Z", "note": "Ask for the date",
    }  # fmt: skip
    listing = {"entity_ids": [ids["contact"]], "label_names": ["L2"], "modality": "contacts"}
    return {
        "POST /contacts": {**single_contact, "run_dedupe": True},
        "PATCH /contacts/{id}": {**single_contact, "email": fresh()},
        "GET /contacts/{id}": None,
        "POST /contacts/search": {"q_keywords": "seed", "page": 1, "per_page": 10},
        "POST /contacts/bulk_create": {
            "contacts": [bulk_contact, {"email": "seed@seed.example"}],
            "run_dedupe": True,
            "append_label_names": ["L3"],
            "owner_id": ids["owner"],
        },
        "POST /contacts/bulk_update": {
            "contact_attributes": [
                {"id": ids["contact"], "title": "CFO", "owner_id": ids["owner"],
                 "linkedin_url": "https://www.linkedin.com/in/see", "typed_custom_fields": custom}
            ]
        },
        "POST /contacts/update_stages": None,
        "POST /contacts/update_owners": None,
        "POST /accounts": account,
        "PATCH /accounts/{id}": {**account, "domain": "seed2.example"},
        "POST /accounts/search": {"q_organization_name": "", "per_page": 10},
        "POST /accounts/bulk_create": {
            "accounts": [
                {"name": "New", "domain": "new.example", "salesforce_id": "0011",
                 "linkedin_url": "https://www.linkedin.com/company/new"},
                {"domain": "seed2.example"},
            ],
            "run_dedupe": True,
            "append_label_names": ["L4"],
        },
        "POST /accounts/bulk_update": {
            "account_attributes": [
                {"id": ids["account"], "name": "Seed 2", "account_stage_id": ids["account_stage"]}
            ]
        },
        "POST /accounts/update_owners": None,
        "GET /opportunity_stages": None,
        "POST /opportunities": {**deal, "account_id": ids["account"]},
        "PATCH /opportunities/{id}": deal,
        "GET /opportunities/{id}": None,
        "GET /opportunities/search": None,
        "POST /contacts/{id}/opportunities": {},
        "POST /emailer_campaigns/search": None,
        "GET /email_accounts": None,
        "POST /emailer_campaigns/{id}/add_contact_ids": None,
        "POST /emailer_campaigns/remove_or_stop_contact_ids": None,
        "POST /tasks": {**task, "contact_id": ids["contact"], "title": "Call"},
        "POST /tasks/bulk_create": {**task, "contact_ids": [ids["contact"]]},
        "PATCH /tasks/{id}": {**task, "contact_id": ids["contact"], "creator_id": ids["owner"]},
        "GET /tasks/{id}": None,
        "POST /tasks/search": None,
        "POST /tasks/{id}/complete": {"note": "Done"},
        "POST /tasks/{id}/skip": {"note": "Not needed"},
        "GET /contact_stages": None,
        "GET /account_stages": None,
        "GET /labels": None,
        "POST /labels": {"name": "By contract", "modality": "accounts"},
        "PATCH /labels/{id}": {"name": "Renamed"},
        "POST /labels/add_entity_ids_to_label_names": listing,
        "POST /labels/remove_entity_ids_from_label_names": listing,
        "GET /fields": None,
        "POST /fields": {
            "label": "New", "modality": "contact", "type": "string", "meta": {"max_length": 9}
        },
        "PATCH /fields": {
            "fields": [
                {"id": f"contact.{ids['contact_field']}", "label": "Notes",
                 "meta": {"max_length": 240}}
            ]
        },
        "GET /typed_custom_fields": None,
        "GET /users/search": None,
        "GET /users/api_profile": None,
        "POST /usage_stats/api_usage_stats": None,
        "POST /usage_stats/credit_usage_stats": None,
        "GET /accounts/{id}": None,
    }  # fmt: skip


QUERIES = {
    "POST /contacts/update_stages": {
        "contact_ids[]": "contact",
        "contact_stage_id": "contact_stage",
    },
    "POST /contacts/update_owners": {"contact_ids[]": "contact", "owner_id": "owner"},
    "POST /accounts/update_owners": {"account_ids[]": "account", "owner_id": "owner"},
    "POST /emailer_campaigns/{id}/add_contact_ids": {
        "contact_ids[]": "contact",
        "emailer_campaign_id": "sequence",
        "send_email_from_email_account_id": "mailbox",
    },
    "POST /emailer_campaigns/remove_or_stop_contact_ids": {
        "contact_ids[]": "contact",
        "emailer_campaign_ids[]": "sequence",
        "mode": "stop",
    },
}
#: First part of a path, or endpoint -> the record whose id its ``{id}`` is.
RECORDS = {
    "contacts": "contact", "accounts": "account", "labels": "label", "opportunities": "deal",
    "emailer_campaigns": "sequence", "tasks": "task",
    "POST /tasks/{id}/skip": "other_task",
}  # fmt: skip
LABELS = list(exchanges(defaultdict(str)))


@pytest.fixture(scope="module")
def answers(served: Sandbox, seeded: dict[str, str]) -> dict[str, tuple[Any, requests.Response]]:
    """Endpoint -> the body and the answer of a request, in the order of the table."""
    client = Client(served)
    made = {}
    for label, body in exchanges(seeded).items():
        method, _, path = label.partition(" ")
        kind = RECORDS.get(label) or RECORDS.get(path.split("/")[1], "")
        query = {name: seeded.get(value, value) for name, value in QUERIES.get(label, {}).items()}
        path = path.replace("{id}", seeded.get(kind, ""))
        made[label] = (body, client.call(method, path, body, params=query))
    return made


@pytest.mark.parametrize("label", LABELS)
def test_a_request_and_its_answer_are_as_documented(
    answers: dict[str, tuple[Any, requests.Response]], label: str
) -> None:
    body, answer = answers[label]
    if body is not None:
        check_request(label, body)
    assert answer.status_code == 200, answer.text
    check_answer(label, 200, answer.json())


def test_every_tolerated_deviation_is_needed(
    answers: dict[str, tuple[Any, requests.Response]],
) -> None:
    needed = set()
    for label, (_, answer) in answers.items():
        content = operation(label)["responses"]["200"]["content"]["application/json"]
        for schema in alternatives(content.get("schema", {}), answer.json()):
            for error in errors(schema, answer.json()):
                needed.add(tolerated(label, error))
    assert DEVIATIONS.keys() - needed == set()


def test_bulk_answers_in_the_documented_form_are_as_documented_too(
    apollo: Sandbox, client: Client
) -> None:
    apollo.set_options(bulk_answers="documented")
    answer = client.bulk_create({"email": fresh(), "title": "x"}, {"email": "seed@seed.example"})
    check_answer("POST /contacts/bulk_create", 200, answer)


def test_a_job_is_as_documented(served: Sandbox, seeded: dict[str, str]) -> None:
    client = Client(served)
    body = {"contact_ids": [seeded["contact"]], "title": "x", "async": True}
    check_request("POST /contacts/bulk_update", body)
    answer = client.post("/contacts/bulk_update", body)
    check_answer("POST /contacts/bulk_update", 200, answer)


REFUSED = [
    ("POST /contacts", {"account_id": "2342432"}),
    ("PATCH /contacts/{id}", {"title": "x"}),
    ("GET /contacts/{id}", None),
    ("POST /contacts/bulk_create", {"contacts": [{"title": "x"}] * 101}),
    ("POST /contacts/bulk_create", {}),
    ("POST /contacts/bulk_update", {"title": "x"}),
    ("POST /contacts/update_stages", None),
    ("POST /contacts/update_owners", None),
    ("POST /accounts", {}),
    ("PATCH /accounts/{id}", {"name": "x"}),
    ("POST /accounts/search", {"sort_by_field": "x"}),
    ("POST /accounts/bulk_create", {}),
    ("POST /accounts/bulk_update", {"account_ids": ["x"] * 1001}),
    ("POST /accounts/update_owners", None),
    ("POST /opportunities", {}),
    ("POST /opportunities", {"name": "x", "account_id": "12345"}),
    ("PATCH /opportunities/{id}", {"name": "x"}),
    ("GET /opportunities/{id}", None),
    ("POST /emailer_campaigns/{id}/add_contact_ids", None),
    ("POST /tasks", {"note": "x"}),
    ("POST /tasks/bulk_create", {"note": "x"}),
    ("PATCH /tasks/{id}", {"note": "x"}),
    ("GET /tasks/{id}", None),
    ("PATCH /fields", {"fields": [{"id": "contact.x"}]}),
    ("POST /labels", {"name": "", "modality": "contacts"}),
    ("POST /labels/add_entity_ids_to_label_names", {"modality": "leads"}),
]


@pytest.mark.parametrize(("label", "body"), REFUSED)
def test_a_refusal_is_as_documented(client: Client, label: str, body: Any) -> None:
    method, _, path = label.partition(" ")
    answer = client.call(method, path.replace("{id}", "5234234"), body)
    assert answer.status_code == 422, answer.text
    if label != "GET /contacts/{id}":
        check_answer(label, 422, answer.json())
    examples = operation(label)["responses"]["422"]["content"]["application/json"]
    assert isinstance(answer.json()["error"], str)
    assert "examples" in examples or "example" in examples


def test_a_list_that_is_not_there_is_404_as_documented(client: Client) -> None:
    body = client.error("PATCH", f"/labels/{'f' * 24}", {"name": "x"}, status=404)
    check_answer("PATCH /labels/{id}", 404, body)


def test_429_and_403_are_as_documented(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(minute_limit=0)
    refused = client.call("POST", "/accounts", {"name": "x"})
    assert refused.status_code == 429
    check_answer("POST /accounts", 429, refused.json())
    apollo.set_options(minute_limit=None)
    apollo.inject(Fault("POST /accounts", FaultKind.ERROR_BEFORE_WRITE, status=403))
    check_answer("POST /accounts", 403, client.error("POST", "/accounts", {}, status=403))


@pytest.mark.parametrize("label", LABELS)
def test_a_wrong_key_is_401_as_documented(apollo: Sandbox, label: str) -> None:
    method, _, path = label.partition(" ")
    answer = requests.request(method, apollo.url + path.replace("{id}", "a" * 24), timeout=20)
    assert answer.status_code == 401
    content = operation(label)["responses"]["401"]["content"]
    # One route documents it as JSON with the same text.
    assert answer.headers["content-type"].split(";")[0] in content or content
    assert answer.text.startswith("Invalid API key.")


# Fields that no request schema lists. The prose says that deduplication matches by them.
PROSE_ONLY = {"id", "person_id", "salesforce_lead_id", "salesforce_contact_id", "hubspot_vid"}


@pytest.mark.parametrize("label", sorted(TAKEN.keys() - UNDOCUMENTED))
def test_strict_mode_takes_exactly_the_documented_fields(label: str) -> None:
    taken = TAKEN[label]
    documented = operation(label)
    parameters = {
        entry["name"] for entry in documented.get("parameters", ()) if entry["in"] == "query"
    }
    assert taken.query == parameters
    if "requestBody" not in documented:
        # Some clients send in the body the ids that the reference documents for the query.
        assert taken.body in (set(), {name.removesuffix("[]") for name in parameters})
        return
    schema = documented["requestBody"]["content"]["application/json"]["schema"]
    assert taken.body - set(schema["properties"]) <= PROSE_ONLY
    assert set(schema["properties"]) <= taken.body
    for name, fields in taken.records.items():
        properties = set(schema["properties"][name]["items"]["properties"])
        assert properties <= fields
        assert fields - properties <= PROSE_ONLY


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.label)
def test_keys_and_tokens_name_an_endpoint_as_documented(endpoint: Endpoint) -> None:
    if endpoint.label in UNDOCUMENTED:
        return
    path = re.sub(r"\{\w+\}", "{id}", endpoint.path)
    about = operation(f"{endpoint.method} {path}")["description"]
    assert f"**API key access:** `{endpoint.entry}`" in about
    assert f"**OAuth scopes:** `{endpoint.scope}`" in about
