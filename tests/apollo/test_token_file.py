"""The token file: rights, faults, and processes that renew at the same time or die meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from target_apollo.apollo import CredentialsRefused, NoAccessToken, RunStopped, TokenFile
from target_apollo.sandbox import Fault, FaultKind
from tests.helpers.logins import TOKEN, Logins
from tests.helpers.tiers import sampled

ROOT = Path(__file__).resolve().parents[2]
#: When a process kills itself.
DEATHS = ("after_moving", "before_moving", "before_asking")

# --- the file


def test_only_the_owner_can_read_the_file_and_enter_the_folder(logins: Logins, path: Path) -> None:
    logins.client(logins.new_refresh_token()).profile()

    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {f.name: f.stat().st_mode & 0o777 for f in path.parent.iterdir()} == {
        "token.json": 0o600,
        "token.json.lock": 0o600,
    }


def test_a_file_with_other_rights_is_closed_to_others(logins: Logins, path: Path) -> None:
    token = logins.new_refresh_token()
    logins.client(token).profile()
    path.chmod(0o644)

    logins.client(token).profile()

    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_none_of_ours_is_left_alone(logins: Logins, path: Path) -> None:
    path.parent.mkdir()
    for content in (b"", b"{", b"[]", b'{"version": 2, "kept": []}', b"\xff"):
        path.write_bytes(content)

        with pytest.raises(NoAccessToken, match="token_path"):
            logins.client(logins.new_refresh_token()).profile()

        assert path.read_bytes() == content
    assert logins.spent() == []


def test_a_place_that_cannot_be_written_costs_no_token(logins: Logins, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")

    with pytest.raises(NoAccessToken, match="token_path"):
        logins.client(logins.new_refresh_token()).profile()

    assert logins.spent() == []


def test_a_full_disk_shows_before_the_token_is_spent(logins: Logins, path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    token = logins.new_refresh_token()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(NoAccessToken, match="token_path"):
            logins.client(token).profile()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert logins.spent() == []
    logins.client(token).profile()


def test_a_token_is_read_over_a_link(logins: Logins, path: Path, tmp_path: Path) -> None:
    token = logins.new_refresh_token()
    logins.client(token).profile()
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    spent = logins.spent()

    logins.client(token).profile()

    assert logins.spent() == spent


def test_no_token_is_spent_where_the_file_is_a_link(
    logins: Logins, path: Path, tmp_path: Path
) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere.json")

    with pytest.raises(NoAccessToken, match=r"token_path.*symbolic link.*No token was spent"):
        logins.client(logins.new_refresh_token()).profile()

    assert logins.spent() == []
    assert not (tmp_path / "elsewhere.json").exists()


def test_a_stop_ends_the_wait_for_another_process(logins: Logins, path: Path) -> None:
    client = logins.client(logins.new_refresh_token())
    stopping = threading.Timer(0.2, logins.stop.set)
    with TokenFile(path).locked(threading.Event()):
        stopping.start()
        with pytest.raises(RunStopped):
            client.profile()
    stopping.join()
    assert logins.spent() == []


# --- processes


@contextmanager
def processes(
    logins: Logins, token: str, count: int, requests: int, death: str = ""
) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.helpers.renewing_process", logins.apollo.token_url]
    command += [logins.apollo.url, str(logins.path), token, str(requests), death]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [
        subprocess.Popen(command, cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]
        for _ in range(count)
    ]
    try:
        for process in started:
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def go(started: list[subprocess.Popen[str]]) -> list[list[str]]:
    """Let processes run at the same time; the lines of each."""
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].splitlines() for process in started]


def test_two_processes_that_begin_at_once_spend_one_refresh_token(logins: Logins) -> None:
    token = logins.new_refresh_token()

    with processes(logins, token, count=2, requests=3) as started:
        said = go(started)

    assert said == [[logins.apollo.store.team_id] * 3] * 2
    assert logins.spent() == [token]


@pytest.mark.full
def test_processes_that_renew_all_the_time_use_each_refresh_token_once(logins: Logins) -> None:
    # So short a life that processes renew again and again, and each refresh revokes at once what
    # the others hold.
    logins.apollo.set_options(access_token_seconds=1)
    token = logins.new_refresh_token()

    with processes(logins, token, count=3, requests=40) as started:
        said = go(started)

    spent = logins.spent()
    assert len(spent) >= 3
    assert len(spent) == len(set(spent))
    statuses = {seen.status for seen in logins.apollo.requests if seen.endpoint == TOKEN}
    assert statuses == {200}
    # A token may be revoked between two tries of one request; nothing worse may happen.
    team = logins.apollo.store.team_id
    assert [lines.count(team) > 30 for lines in said] == [True] * 3, said


@pytest.mark.parametrize("death", sampled(DEATHS))
def test_a_process_killed_while_it_renews_leaves_a_token_to_go_on_with(
    logins: Logins, death: str
) -> None:
    token = logins.new_refresh_token()
    with processes(logins, token, 1, 1, death) as started:
        assert go(started) == [[]]
        assert started[0].returncode == -9

    logins.client(token).profile()

    assert logins.spent() == [token]
    assert {file.name for file in logins.path.parent.iterdir()} == {
        "token.json",
        "token.json.lock",
    }


@pytest.mark.parametrize("death", sampled(DEATHS))
def test_a_later_renewal_survives_the_same_deaths(logins: Logins, death: str) -> None:
    token = logins.new_refresh_token()
    logins.client(token).profile()
    second = logins.kept()["refresh_token"]
    logins.age(2_592_000)
    with processes(logins, token, 1, 1, death) as started:
        assert go(started) == [[]]

    logins.client(token).profile()

    assert logins.spent() == [token, second]


def test_a_process_killed_between_apollo_s_answer_and_the_disk_needs_a_new_login(
    logins: Logins,
) -> None:
    token = logins.new_refresh_token()
    logins.apollo.inject(Fault(TOKEN, FaultKind.SLOW, seconds=30))
    with processes(logins, token, 1, 1) as started:
        assert started[0].stdin is not None
        started[0].stdin.write("go\n")
        started[0].stdin.flush()
        wait_for(lambda: token not in logins.apollo.store.tokens)
        started[0].kill()

    with pytest.raises(CredentialsRefused, match="apollo-sync login"):
        logins.client(token).profile()


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("It did not come about within 20 seconds.")
