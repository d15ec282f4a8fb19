"""Why a sync can't work although the key is valid, and which reason comes first."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.apollo import ForbiddenBy, Window, Windows, endpoints
from target_apollo.cli.check.connection import check_connection
from target_apollo.cli.check.findings import Access, Check, Finding, lower_of
from target_apollo.cli.check.needs import Need
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.keys import BOTH, CONTACTS, CREATE, access_of, settings_of

# --- what a check finds


def test_an_endpoint_that_the_plan_lacks_is_no_matter_of_the_key(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.inject(
        Fault(
            CREATE,
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
    one = next(one for one in found.findings if one.access is Access.FORBIDDEN)
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
    assert access_of(optional)["GET /users/search"] is Access.UNCLEAR
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


# --- pure parts


def _finding(**changes: Any) -> Finding:
    need = Need(endpoints.CREATE_CONTACTS, CONTACTS, required=True)
    return replace(Finding(need, need.endpoint, Access.ALLOWED), **changes)


def test_what_somebody_must_mend_counts_before_what_time_mends() -> None:
    exhausted = _finding(access=Access.EXHAUSTED, wait_seconds=3600.0)
    forbidden = _finding(access=Access.FORBIDDEN, forbidden_by=ForbiddenBy.SCOPE)
    unclear = _finding(access=Access.UNCLEAR, detail="It did not answer.")
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
