from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.api import ForbiddenBy, Window, Windows, endpoints
from target_apollo.checking.connection import check_connection
from target_apollo.checking.findings import Check, Finding, Standing, lower_of
from target_apollo.checking.needs import Need, needs_of
from target_apollo.checking.probes import ELSE_ASKED, PROBES
from target_apollo.checking.report import as_json, as_lines
from target_apollo.objects import ObjectKind
from target_apollo.rows import Mode
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions, running_sandbox
from target_apollo.settings import Settings, SettingsError
from target_apollo.settings_schema import SCHEMA

from .api.server import Received, Reply, Server

BOTH = tuple(ObjectKind)
CONTACTS = (ObjectKind.CONTACTS,)
PROFILE = "api/v1/users/api_profile"
USAGE = "api/v1/usage_stats/api_usage_stats"
CONTACTS_CREATE, CONTACTS_UPDATE = "api/v1/contacts/bulk_create", "api/v1/contacts/update"

KEYS = {
    "sandbox": None,
    "contacts-only": (PROFILE, CONTACTS_CREATE, CONTACTS_UPDATE),
    "insert-only": (PROFILE, CONTACTS_CREATE),
    "update-only": (PROFILE, CONTACTS_UPDATE),
    "nameless": (CONTACTS_CREATE, CONTACTS_UPDATE),
    "nothing": (),
    "with-usage": (PROFILE, CONTACTS_CREATE, CONTACTS_UPDATE, USAGE),
}


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with running_sandbox(SandboxOptions(strict=True, api_keys=KEYS)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox) -> Iterator[Sandbox]:
    before = served.options
    served.reset_log()
    served.reset_quota()
    yield served
    served.options = before
    served.clear_faults()


def settings_of(url: str, key: str = "sandbox", **more: Any) -> Settings:
    defaults = {
        name: setting["default"]
        for name, setting in SCHEMA["properties"].items()
        if "default" in setting
    }
    return Settings.of({**defaults, "api_url": url, "api_key": key, **more})


@pytest.fixture
def check(sandbox: Sandbox) -> Callable[..., Check]:
    def check(key: str = "sandbox", kinds: Collection[ObjectKind] = BOTH, **more: Any) -> Check:
        return check_connection(settings_of(sandbox.url, key, **more), kinds)

    return check


def standing(check: Check) -> dict[str, Standing]:
    return {found.endpoint: found.standing for found in check.findings}


# --- what is said


def test_a_master_key_may_use_everything(check: Callable[..., Check]) -> None:
    found = check()
    assert set(standing(found).values()) == {Standing.ALLOWED}
    assert found.verdict == (0, "Usable.")


def test_the_team_and_the_user_are_named_without_an_e_mail(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    said = "\n".join(as_lines(check())) + json.dumps(as_json(check()))
    user = next(user for user in sandbox.store.users() if user["id"] == sandbox.store.admin_id)
    assert sandbox.store.team_id in said
    assert f"{user['first_name']} {user['last_name']}" in said
    assert user["email"]
    assert "@" not in said


def test_a_forbidden_endpoint_is_said_with_the_entry_to_add(check: Callable[..., Check]) -> None:
    found = check("insert-only", CONTACTS)
    line = next(line for line in as_lines(found) if "PATCH /contacts/{id}" in line)
    assert "forbidden" in line
    assert f"add {CONTACTS_UPDATE} to the key's list" in line
    exit_code, because = found.verdict
    assert exit_code == 2
    assert f"Add {CONTACTS_UPDATE} to the key's list" in because


def test_the_quota_is_said_from_the_headers_where_the_statistics_are_forbidden(
    check: Callable[..., Check],
) -> None:
    found = check("contacts-only", CONTACTS)
    line = next(line for line in as_lines(found) if "POST /contacts/bulk_create" in line)
    assert "left 199/min, 399/h, 1999/day" in line


def test_the_quota_is_said_from_the_statistics_where_the_answers_do_not_tell(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.inject(
        Fault("POST /contacts/bulk_create", FaultKind.ERROR_BEFORE_WRITE, status=422, body={})
    )
    found = check("with-usage", CONTACTS)
    line = next(line for line in as_lines(found) if "POST /contacts/bulk_create" in line)
    assert "allowed" in line
    assert "left 199/min, 399/h, 1999/day" in line


def test_the_json_says_the_same_as_the_lines(check: Callable[..., Check]) -> None:
    found = check("insert-only", CONTACTS)
    said = json.loads(json.dumps(as_json(found)))
    assert (said["exit_code"], said["because"]) == found.verdict
    assert said["usable"] is False
    by_endpoint = {row["endpoint"]: row for row in said["endpoints"]}
    assert by_endpoint["PATCH /contacts/{id}"]["standing"] == "forbidden"
    assert by_endpoint["PATCH /contacts/{id}"]["key_entry"] == CONTACTS_UPDATE
    assert by_endpoint["PATCH /contacts/{id}"]["required"] is True
    assert by_endpoint["POST /contacts/bulk_create"]["quota"]["hour"]["left"] == 399
    assert said["modes"] == {"contacts": ["upsert"]}


# --- nothing is written


@pytest.mark.parametrize(
    ("mode", "unknown_id", "put_accounts"),
    [
        ("insert", "unprocessable", "not_found"),
        ("update", "not_found", "not_found"),
        ("upsert", "unprocessable", "not_allowed"),
        ("upsert", "not_found", "not_allowed"),
        ("upsert", "unprocessable", "accepted"),
        ("upsert", "not_found", "accepted"),
    ],
)
def test_a_check_changes_nothing_and_finds_everything_allowed(
    mode: str, unknown_id: str, put_accounts: str
) -> None:
    options = SandboxOptions(strict=True).replaced(
        {"unknown_id": unknown_id, "put_accounts": put_accounts}
    )
    with running_sandbox(options) as sandbox:
        sandbox.store.add_contact(email="ada@example.com", first_name="Ada")
        sandbox.store.add_account(domain="example.com", name="Example")

        def held() -> tuple[Any, ...]:
            store = sandbox.store
            return store.contacts(), store.accounts(), store.labels(), store.custom_fields()

        before = json.dumps(held())
        found = check_connection(
            settings_of(sandbox.url, mode=mode, lists=["New"], custom_fields={"a": "b"}), BOTH
        )
        assert json.dumps(held()) == before
        assert set(standing(found).values()) == {Standing.ALLOWED}


def test_each_endpoint_is_asked_once(sandbox: Sandbox, check: Callable[..., Check]) -> None:
    check()
    asked = [seen.endpoint for seen in sandbox.requests]
    assert len(asked) == len(set(asked))


def test_every_endpoint_that_any_sync_uses_can_be_asked() -> None:
    wanted = {
        need.endpoint
        for mode in Mode
        for need in needs_of(settings_of("https://example.com", mode=mode.value), BOTH)
    }
    assert wanted | set(ELSE_ASKED.values()) == set(PROBES)


@pytest.mark.parametrize("endpoint", PROBES)
def test_no_probe_carries_a_record(endpoint: str) -> None:
    body = PROBES[endpoint].request.body or {}
    if endpoint.endswith("/search"):
        return
    allowed = {"run_dedupe", "async", "modality", "entity_ids", "label_names"}
    assert set(body) <= allowed
    assert not body.get("entity_ids")
    assert not body.get("label_names")


# --- what a mode needs


@pytest.mark.parametrize(
    ("key", "mode", "exit_code"),
    [
        ("insert-only", "insert", 0),
        ("insert-only", "upsert", 2),
        ("insert-only", "update", 2),
        ("update-only", "update", 0),
        ("update-only", "insert", 2),
        ("update-only", "upsert", 2),
        ("contacts-only", "upsert", 0),
    ],
)
def test_a_key_is_judged_by_what_the_mode_needs(
    check: Callable[..., Check], key: str, mode: str, exit_code: int
) -> None:
    assert check(key, CONTACTS, mode=mode).verdict[0] == exit_code


def test_insert_asks_for_no_update_of_accounts(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    check(mode="insert")
    assert sandbox.count("PUT /accounts/{id}") == 0


def test_a_mode_of_a_stream_counts_for_its_object(check: Callable[..., Check]) -> None:
    streams = {"crm_people": {"object": "contacts", "mode": "insert"}}
    found = check("insert-only", CONTACTS, streams=streams)
    assert found.modes == {ObjectKind.CONTACTS: {Mode.INSERT}}
    assert found.verdict[0] == 0


def test_a_stream_without_a_mode_of_its_own_has_the_general_one(
    check: Callable[..., Check],
) -> None:
    streams = {"a-contacts": {"mode": "insert"}, "b-contacts": {"key": ["id"]}}
    found = check("insert-only", CONTACTS, streams=streams)
    assert found.modes == {ObjectKind.CONTACTS: {Mode.INSERT, Mode.UPSERT}}
    assert found.verdict[0] == 2


def test_a_glob_that_tells_no_object_counts_for_both(check: Callable[..., Check]) -> None:
    found = check(streams={"crm.*": {"mode": "update"}})
    assert found.modes == {kind: {Mode.UPDATE} for kind in ObjectKind}


def test_a_key_for_contacts_is_not_enough_for_both_objects(check: Callable[..., Check]) -> None:
    assert check("contacts-only", BOTH).verdict[0] == 2


@pytest.mark.parametrize("more", [{"lists": ["Customers"]}, {"custom_fields": {"mrr": "MRR"}}])
def test_a_filled_setting_makes_its_endpoints_needed(
    check: Callable[..., Check], more: dict[str, Any]
) -> None:
    assert check("contacts-only", CONTACTS).verdict[0] == 0
    assert check("contacts-only", CONTACTS, **more).verdict[0] == 2


# --- whose key it is


def test_a_wrong_key_ends_the_check_at_once(sandbox: Sandbox, check: Callable[..., Check]) -> None:
    found = check("wrong")
    exit_code, because = found.verdict
    assert (found.key_valid, exit_code) == (False, 2)
    assert "api_key" in because
    assert len(sandbox.requests) == 1


def test_a_key_that_may_not_ask_who_it_is_is_valid(check: Callable[..., Check]) -> None:
    found = check("nameless", CONTACTS)
    assert found.key_valid is True
    assert found.profile is None
    assert found.verdict[0] == 0
    line = next(line for line in as_lines(found) if line.split()[:1] == ["forbidden"])
    assert "GET /users/api_profile" in line
    assert f"add {PROFILE} to the key's list" in line


def test_a_key_that_may_do_nothing_is_valid_and_not_usable(check: Callable[..., Check]) -> None:
    found = check("nothing")
    assert found.key_valid is True
    assert found.verdict[0] == 2


def test_a_key_with_a_blank_is_refused_before_anything_is_sent(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    with pytest.raises(SettingsError, match="api_key") as refused:
        check("secret key")
    assert "secret key" not in str(refused.value)
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("logged_in", "exit_code", "key_valid"), [(False, 2, False), (True, 1, True)]
)
def test_without_a_profile_the_key_is_judged_by_is_logged_in(
    logged_in: bool, exit_code: int, key_valid: bool
) -> None:
    def answer(request: Received) -> Reply:
        if request.path.endswith("/auth/health"):
            return Reply(200, {"healthy": True, "is_logged_in": logged_in})
        return Reply(500, "<html>", content_type="text/html")

    server = Server()
    server.default = answer
    try:
        found = check_connection(settings_of(server.url), BOTH)
    finally:
        server.close()
    assert found.key_valid is key_valid
    assert found.verdict[0] == exit_code


def test_a_403_without_a_word_of_apollo_proves_no_key() -> None:
    server = Server()
    server.default = lambda _: Reply(403, "<html>", content_type="text/html")
    try:
        found = check_connection(settings_of(server.url), BOTH)
    finally:
        server.close()
    assert found.key_valid is None
    assert found.verdict[0] == 1
    assert "api_url" in found.verdict[1]


# --- other reasons why a sync can't work


def test_an_endpoint_that_the_plan_lacks_is_no_matter_of_the_key(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.inject(
        Fault(
            "POST /contacts/bulk_create",
            FaultKind.ERROR_BEFORE_WRITE,
            status=403,
            body={"message": "This endpoint is only available to Apollo users on paid plans."},
        )
    )
    found = check()
    exit_code, because = found.verdict
    assert exit_code == 2
    assert "plan of this team does not include POST /contacts/bulk_create" in because
    assert "key's list" not in because
    one = next(one for one in found.findings if one.standing is Standing.FORBIDDEN)
    assert one.forbidden_by is ForbiddenBy.PLAN


def test_an_address_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # Bound and not listening: connections are refused, and nobody else takes the port.
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api/v1"
        found = check_connection(settings_of(url), BOTH)
    exit_code, because = found.verdict
    assert (exit_code, found.key_valid, found.findings) == (1, None, ())
    assert "could not be reached" in because


def test_a_wrong_path_is_said_to_be_a_wrong_address(sandbox: Sandbox) -> None:
    found = check_connection(settings_of(f"{sandbox.url}/v2"), BOTH)
    exit_code, because = found.verdict
    assert exit_code == 1
    assert "api_url" in because


def test_a_used_up_hour_is_out_of_quota(sandbox: Sandbox, check: Callable[..., Check]) -> None:
    check("contacts-only", CONTACTS)
    sandbox.set_options(hour_limit=1)
    found = check("contacts-only", CONTACTS)
    exit_code, because = found.verdict
    assert exit_code == 3
    assert "POST /contacts/bulk_create" in because
    assert "run again after" in because
    assert found.key_valid is True


def test_the_last_request_of_an_hour_leaves_none_for_a_run(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.set_options(hour_limit=1)
    found = check("contacts-only", CONTACTS)
    assert found.verdict[0] == 3
    assert "in at most 60 minutes" in found.verdict[1]


def test_a_wait_that_a_run_sleeps_through_is_usable(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.set_options(minute_limit=0)
    exit_code, because = check("contacts-only", CONTACTS).verdict
    assert exit_code == 0
    assert "max_wait_seconds" in because
    assert check("contacts-only", CONTACTS, max_wait_seconds=5).verdict[0] == 3


def test_an_endpoint_that_fails_is_unclear(sandbox: Sandbox, check: Callable[..., Check]) -> None:
    sandbox.inject(Fault("GET /users/search", FaultKind.HTML_PAGE, times=None, status=502))
    optional = check()
    assert standing(optional)["GET /users/search"] is Standing.UNCLEAR
    assert optional.verdict[0] == 0
    sandbox.inject(Fault("PATCH /contacts/{id}", FaultKind.HTML_PAGE, times=None, status=502))
    assert check().verdict[0] == 1


def test_a_check_gives_up_where_nothing_answers_any_more(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.inject(Fault("*", FaultKind.HTML_PAGE, times=None, after=1, status=502))
    found = check()
    assert found.key_valid is True
    assert found.verdict[0] == 1
    # The profile, and three probes of two tries each.
    assert len(sandbox.requests) == 7


def test_a_key_that_is_revoked_during_the_check_is_not_valid(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.inject(
        Fault(
            "POST /contacts/bulk_create",
            FaultKind.ERROR_BEFORE_WRITE,
            status=401,
            body={"error": "gone"},
        )
    )
    found = check()
    assert (found.key_valid, found.verdict[0]) == (False, 2)


# --- pure parts


def _finding(**changes: Any) -> Finding:
    need = Need(endpoints.CREATE_CONTACTS, CONTACTS, required=True)
    return replace(Finding(need, need.endpoint, Standing.ALLOWED), **changes)


def test_what_somebody_must_mend_counts_before_what_time_mends() -> None:
    exhausted = _finding(standing=Standing.EXHAUSTED, wait_seconds=3600.0)
    forbidden = _finding(standing=Standing.FORBIDDEN, forbidden_by=ForbiddenBy.SCOPE)
    unclear = _finding(standing=Standing.UNCLEAR, detail="It did not answer.")
    made = Check("https://example.com", {}, 900.0, key_valid=True)
    assert replace(made, findings=(unclear, exhausted, forbidden)).verdict[0] == 2
    assert replace(made, findings=(unclear, exhausted)).verdict[0] == 3
    assert replace(made, findings=(unclear,)).verdict == (1, "Not clear: It did not answer.")


counts = st.none() | st.integers(0, 10_000)
windows = st.builds(Window, limit=counts, usage=counts, left=counts)


@given(windows, windows)
def test_of_two_promises_the_smaller_one_counts(one: Window, other: Window) -> None:
    both = lower_of(Windows(minute=one), Windows(minute=other)).minute
    told = [window.left for window in (one, other) if window.left is not None]
    assert both.left == min(told, default=None)
    assert both.known == (one.known or other.known)


def test_under_oauth_scopes_are_asked_for_and_no_entries_of_a_key() -> None:
    need = Need(endpoints.UPDATE_CONTACT, (ObjectKind.CONTACTS,), required=True)
    found = Finding(need, need.endpoint, Standing.FORBIDDEN, ForbiddenBy.SCOPE, oauth=True)
    check = Check("https://x.example", {}, 900, oauth=True, key_valid=True, findings=(found,))

    said = "\n".join([*as_lines(check), check.verdict[1]])

    assert "the token may not use PATCH /contacts/{id}" in said
    assert "contact_update" in said
    assert "apollo-sync login" in said
    assert "key's list" not in said
    assert CONTACTS_UPDATE not in said
