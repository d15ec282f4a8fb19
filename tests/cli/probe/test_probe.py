"""A probe is asked for, leaves few traces, tells nothing of the team, and can be cut off."""

from __future__ import annotations

import copy
import json
import os
import pty
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo import Transport
from target_apollo.cli.probe import own_records
from target_apollo.cli.probe.own_records import DOMAIN, MOST_RECORDS, TITLE
from target_apollo.sandbox import Fault, FaultKind, SandboxOptions
from target_apollo.sandbox.options import MatchedInBulk
from tests.cli.probe.conftest import Run
from tests.cli.probe.test_questions import with_team
from tests.config.test_credentials import new_refresh_token
from tests.helpers.commands import apollo_sync
from tests.helpers.new_sandbox import new_sandbox


def test_nothing_is_asked_without_consent(probe: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        done = probe(apollo, "--config", "ENV")  # in place of --yes

        assert done.exit_code == 2
        assert "standard input is no terminal: give --yes" in done.output
        assert "POST /contacts/bulk_create" in done.output
        assert apollo.requests == []


@pytest.mark.parametrize(("said", "exit_code"), [("n", 1), ("y", 0)])
def test_a_probe_in_a_terminal_asks_first(
    said: str, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keyboard, terminal = pty.openpty()
    with new_sandbox(SandboxOptions(strict=True)) as apollo, os.fdopen(terminal) as stdin:
        config = {"api_key": apollo.api_key, "api_url": apollo.url}
        Path("config.json").write_text(json.dumps(config))
        monkeypatch.setattr("sys.stdin", stdin)
        os.write(keyboard, f"{said}\n".encode())

        code, told = apollo_sync("probe", "--config", "config.json")

        os.close(keyboard)
        assert (code, "Ask Apollo?" in told) == (exit_code, True)
        assert ("Nothing was asked." in told, bool(apollo.requests)) == (said == "n", said == "y")


def test_the_report_and_the_profile_tell_nothing_of_the_team(probe: Run, tmp_path: Path) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        with_team(apollo)
        apollo.store.add_contact(email="secret-buyer@client.com", last_name="Secret")

        done = probe(apollo)

        told = done.report + json.dumps(done.profile)
        assert re.findall(r"\b[0-9a-f]{24}\b", told) == []
        assert re.findall(r"[\w.-]+@[\w.-]+", told) == []
        for part in ("ecret", apollo.api_key, DOMAIN, apollo.store.users()[0]["email"]):
            assert part not in told.replace("target-apollo", "").replace("apollo-sync", "")
        mode = (tmp_path / "profile.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_a_probe_touches_no_record_that_it_did_not_make(probe: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        with_team(apollo)
        store = apollo.store
        store.add_contact(email="one@client.com", first_name="Probe", last_name="One")
        store.add_contact(email=f"someone@{DOMAIN}", first_name="Some", last_name="One")
        store.add_contact(email="p@client.com", first_name="Pat", last_name="Twin", title="CEO")
        store.add_account(domain="probes.com", name="target-apollo probes")
        contacts = {one["id"]: copy.deepcopy(one) for one in store.contacts()}
        accounts = {one["id"]: copy.deepcopy(one) for one in store.accounts()}

        probe(apollo)
        probe(apollo)

        assert [one for one in store.contacts() if contacts.get(one["id"], one) != one] == []
        assert [one for one in store.accounts() if accounts.get(one["id"], one) != one] == []


def test_the_records_of_a_probe_are_put_right_at_its_end(probe: Run) -> None:
    options = SandboxOptions(strict=True, single_takes_owner=True, bulk_update_takes_stage=True)
    with new_sandbox(options) as apollo:
        with_team(apollo)

        probe(apollo)

        contacts = apollo.store.contacts()
        for name in ("owner_id", "contact_stage_id", "title", "organization_name"):
            assert len({one[name] for one in contacts}) == 1
        assert {one["title"] for one in contacts} == {TITLE}
        assert all(len(one["label_ids"]) == 1 for one in contacts)
        assert not any(one["typed_custom_fields"] for one in contacts)


def test_no_line_of_the_report_is_wider_than_a_terminal(probe: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True, hour_limit=8)) as apollo:
        with_team(apollo)
        cut_short = probe(apollo, max_wait_seconds=0)
        apollo.reset_quota()
        whole = probe(apollo)

    for done in (cut_short, whole):
        assert [line for line in done.report.splitlines() if len(line) > 80] == []


def test_the_report_has_each_question_with_what_a_run_assumes_and_what_follows(probe: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        with_team(apollo)
        report = probe(apollo).report

    assert "\n| `cleared_by` | both |\n" in report
    (cleared,) = re.findall(r"\n## cleared_by\n\n(.*?)\n\n##", report, re.DOTALL)
    assert cleared.splitlines() == [
        "Which empty value clears a field?",
        "",
        "- assumed by a run: the empty text, as Apollo documents",
        "- seen: **both**",
        "- what follows: Nothing: a run is right either way.",
    ]


class Killed(BaseException):
    """Stands for a kill."""


def cut_off(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Make a probe end with the answer to its request of this number."""
    send, left = Transport.send, [after]

    def send_or_die(self: Transport, request: Any) -> Any:
        answer = send(self, request)
        left[0] -= 1
        if not left[0]:
            raise Killed
        return answer

    monkeypatch.setattr(Transport, "send", send_or_die)


def check_cut_off(after: int, probe: Run, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Cut a probe off and probe again; returns whether there was such a request."""
    with new_sandbox(SandboxOptions(strict=True, single_takes_owner=True)) as apollo:
        with_team(apollo)
        was_cut = False
        with monkeypatch.context() as patch:
            cut_off(patch, after)
            try:
                probe(apollo)
            except Killed:
                was_cut = True

        done = probe(apollo)

        assert done.exit_code == 0
        assert len(apollo.store.contacts()) == 3
        assert len(apollo.store.accounts()) == 1
        assert {one["title"] for one in apollo.store.contacts()} == {TITLE}
        assert len({one["owner_id"] for one in apollo.store.contacts()}) == 1
        assert done.answers["matched_in_bulk"] == "unchanged"
        return was_cut


@pytest.mark.parametrize("after", [5, 10, 14, 16, 33])
def test_a_probe_that_is_cut_off_leaves_only_what_the_next_one_uses(
    after: int, probe: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_cut_off(after, probe, monkeypatch)


@pytest.mark.full
def test_a_probe_may_be_cut_off_at_any_request(
    probe: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    after = 1
    while check_cut_off(after, probe, monkeypatch):
        (tmp_path / "profile.json").unlink(missing_ok=True)
        after += 1
    assert after > 50


def test_a_key_that_lacks_entries_leaves_questions_unasked(probe: Run) -> None:
    keys = {
        "narrow": ("api/v1/users/api_profile", "api/v1/contacts/update", "api/v1/contacts/show"),
    }
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as apollo:
        done = probe(apollo, api_key="narrow")

        assert done.exit_code == 0
        assert done.answers == {"unknown_id": "unprocessable", "bad_id_names_value": "true"}
        assert "not asked: the key lacks the entry api/v1/labels/index" in done.report_in_one_line
        assert apollo.store.contacts() == []


def test_no_record_is_made_where_earlier_ones_could_not_be_found(probe: Run) -> None:
    entries = ("labels/index", "contacts/bulk_create", "contacts/show", "accounts/bulk_create")
    keys = {"blind": tuple(f"api/v1/{entry}" for entry in entries)}
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as apollo:
        probe(apollo, api_key="blind")

        assert apollo.store.contacts() == apollo.store.accounts() == []


def test_a_probe_stops_at_a_rate_limit_and_the_next_one_goes_on(probe: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True, hour_limit=8)) as apollo:
        with_team(apollo)

        done = probe(apollo, max_wait_seconds=0)

        assert done.exit_code == 3
        assert "The probe ended early, at " in done.report_in_one_line
        assert not [seen for seen in apollo.requests if seen.status == 429]
        first = done.answers

        apollo.reset_quota()
        again = probe(apollo, max_wait_seconds=0)

        assert first.items() <= again.answers.items()
        assert len(apollo.store.contacts()) + len(apollo.store.accounts()) <= MOST_RECORDS


@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER_WRITE, FaultKind.RECORDS_LEFT_OUT])
def test_a_creation_without_an_answer_is_not_sent_by_the_next_question(
    kind: FaultKind, probe: Run
) -> None:
    options = SandboxOptions(strict=True, matched_in_bulk=MatchedInBulk.DUPLICATED)
    with new_sandbox(options) as apollo:
        with_team(apollo)
        apollo.inject(Fault("POST /contacts/bulk_create", kind, times=None, records=3))

        probe(apollo)
        apollo.clear_faults()
        probe(apollo)

        assert len(apollo.store.contacts()) + len(apollo.store.accounts()) <= MOST_RECORDS


def test_accounts_of_earlier_probes_are_counted_before_a_contact_is_made(probe: Run) -> None:
    options = SandboxOptions(strict=True, matched_in_bulk=MatchedInBulk.DUPLICATED)
    with new_sandbox(options) as apollo:
        with_team(apollo)
        for last_name, name in (("One", "one"), ("One", "namesake"), ("Twin", "twin")):
            apollo.store.add_contact(
                email=f"{name}@{DOMAIN}", first_name="Probe", last_name=last_name, title=TITLE
            )
        apollo.store.add_contact(email=f"m@{DOMAIN}", first_name="Probe", last_name="Malformed")
        for domain in (DOMAIN, f"other.{DOMAIN}"):
            apollo.store.add_account(domain=domain, name="target-apollo probe")

        done = probe(apollo)

        assert len(apollo.store.contacts()) + len(apollo.store.accounts()) == MOST_RECORDS
        assert "the probe's 6 records are made" in done.report_in_one_line


def test_what_a_request_without_an_answer_has_changed_is_put_right_too(probe: Run) -> None:
    options = SandboxOptions(
        strict=True, matched_in_bulk=MatchedInBulk.OVERWRITTEN, owner_touches_existing=True
    )
    with new_sandbox(options) as apollo:
        with_team(apollo)
        lost = Fault("POST /contacts/bulk_create", FaultKind.RESET_AFTER_WRITE, after=1)
        apollo.inject(lost)

        done = probe(apollo)

        assert "Apollo's answer was lost" in done.report_in_one_line
        assert {one["title"] for one in apollo.store.contacts()} == {TITLE}
        assert len({one["owner_id"] for one in apollo.store.contacts()}) == 1


def test_a_probe_whose_last_answers_were_all_lost_does_not_end_well(probe: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        apollo.inject(Fault("GET /labels", FaultKind.RESET_AFTER_WRITE, times=None))

        assert probe(apollo).exit_code == 1


@pytest.mark.parametrize("name", ["config.json", "profile.json", "rejects.singer", "ledger.db-wal"])
def test_a_report_takes_the_place_of_no_other_file(name: str, probe: Run, tmp_path: Path) -> None:
    paths = {
        "rejects_path": str(tmp_path / "rejects.singer"),
        "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
    }
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        done = probe(apollo, "--yes", "--report", str(tmp_path / name), **paths)

        assert done.exit_code == 2
        assert "name one file" in done.output
        assert apollo.requests == []
        assert json.loads((tmp_path / "config.json").read_text())["api_url"] == apollo.url


def test_a_profile_takes_the_place_of_no_other_file(probe: Run, tmp_path: Path) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        done = probe(apollo, profile_path=str(tmp_path / "config.json"))

        assert (done.exit_code, apollo.requests) == (2, [])
        assert json.loads((tmp_path / "config.json").read_text())["api_url"] == apollo.url


def test_no_profile_is_kept_of_a_team_that_nothing_tells(probe: Run, tmp_path: Path) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        untold = Fault(
            "GET /users/api_profile", FaultKind.ERROR_BEFORE_WRITE, times=None, status=403
        )
        apollo.inject(untold)
        oauth = {
            "api_key": None,
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "refresh_token": new_refresh_token(apollo),
            "oauth_token_url": apollo.token_url,
            "token_path": str(tmp_path / "token.json"),
        }

        done = probe(apollo, **oauth)

        assert done.exit_code == 2
        assert "does not tell which team these OAuth tokens are for" in done.output
        assert done.profile == {}
        assert apollo.store.contacts() == []


def test_a_probe_takes_the_place_of_no_profile_of_another_team(probe: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        first = probe(apollo)
    with new_sandbox(SandboxOptions(strict=True)) as other:
        again = probe(other)

        assert again.exit_code == 2
        assert "is of another Apollo team or another address" in again.output
        assert again.profile == first.profile
        assert other.store.contacts() == []


def test_an_apollo_that_stores_none_of_the_addresses_is_asked_the_rest(
    probe: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("email_of", "as_new_contact"):
        original = getattr(own_records, name)
        monkeypatch.setattr(own_records, name, _with_bad_address(original))
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        with_team(apollo)

        done = probe(apollo)

        assert done.exit_code == 0
        assert "Apollo did not store the address of the probe's record" in done.report_in_one_line
        assert done.answers["cleared_by"] == "both"
        assert len(apollo.store.contacts()) <= MOST_RECORDS


def _with_bad_address(original: Any) -> Any:
    def changed(last_name: str) -> Any:
        made = original(last_name)
        if isinstance(made, str):
            return f"no..{made}"
        return {**made, "email": f"no..{made['email'].removeprefix('no..')}"}

    return changed


def test_an_address_without_an_api_is_named_as_the_setting(probe: Run) -> None:
    with new_sandbox() as apollo:
        done = probe(apollo, api_url=apollo.url.replace("/api/v1", "/nothing/here"))

    assert done.exit_code == 2
    assert "There is no Apollo API at the address in the setting api_url" in done.output
    assert done.report == ""
