"""docs/how-to/many-teams.md for real: eight teams, a small quota, a wrong key, a killed worker."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from target_apollo.demo.meltano import install_plugins
from target_apollo.demo.postgres import running_postgres
from tests.helpers.airflow_engine import Airflow
from tests.helpers.dagster_engine import Dagster
from tests.helpers.engines import CUT_OFF, Story, story_of
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.teams import (
    CREATE,
    LIMITED_SECONDS,
    MAKE_TABLES,
    WHOLE,
    eight_teams,
    engine,
    project_of,
)

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=[Dagster, Airflow], ids=["dagster", "airflow"])
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    runs_it = request.param()
    folder_of_engine = engine(runs_it.name, runs_it.command).parent
    install_plugins()
    folder = tmp_path_factory.mktemp(runs_it.name)
    teams = eight_teams()
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres(folder / "postgres"))
        sandboxes = {team.name: stack.enter_context(new_sandbox(team.options)) for team in teams}
        for team in teams:
            for fault in team.faults:
                sandboxes[team.name].inject(fault)
        by_team = {team: sandboxes[team.name] for team in teams}
        project = stack.enter_context(project_of(folder, server, by_team, folder_of_engine))
        project = dataclasses.replace(
            project, environment={**project.environment, **runs_it.settings(project)}
        )
        project.call(*MAKE_TABLES)
        yield story_of(runs_it, project, teams, sandboxes)


def test_every_row_is_in_its_team_once(story: Story) -> None:
    for team in story.teams:
        store = story.sandboxes[team.name].store
        emails = Counter(str(contact["email"]) for contact in store.contacts())
        domains = Counter(str(account["domain"]) for account in store.accounts())
        there = 0 if team.name == "refused" else team.rows["crm-contacts"]
        assert len(emails) == there, team.name
        assert len(domains) == team.rows.get("crm-accounts", 0), team.name
        assert set((emails + domains).values()) <= {1}, team.name


def test_no_team_is_asked_beyond_its_quota(story: Story) -> None:
    for name, sandbox in story.sandboxes.items():
        refused = [seen for seen in sandbox.requests if seen.status == 429]
        # What somebody else has used, no run can know before it asks.
        assert len(refused) == (name == "limited" and not WHOLE), name


def test_a_team_whose_quota_ends_is_gone_on_with_after_its_window(story: Story) -> None:
    first, second = story.of("limited")
    assert (first.state, second.state) == ("later", "success")
    requests = [seen for seen in story.sandboxes["limited"].requests if seen.endpoint == CREATE]
    before = [seen.at for seen in requests if seen.at <= first.ended]
    later = [seen.at for seen in requests if seen.at > first.ended]
    assert later
    assert later[0] - (before[0] if WHOLE else before[-1]) > LIMITED_SECONDS


def test_a_wrong_key_is_not_tried_again_and_harms_no_other_team(story: Story) -> None:
    (run,) = story.of("refused")
    assert run.state == "failed"
    for team in story.teams:
        ends = {run.sync: run.state for run in story.of(team.name)}
        assert list(ends) == team.syncs
        assert team.name == "refused" or set(ends.values()) == {"success"}, team.name


def test_a_dead_worker_is_taken_over_by_another(story: Story) -> None:
    first, *others, last = story.of("killed")
    assert (first.state, last.state) == ("failed", "success")
    # The target of the dead worker may still be writing.
    assert {run.state for run in others} <= {"later"}


def test_what_needs_no_second_try_has_none(story: Story) -> None:
    tries = Counter(run.sync for run in story.runs if run.sync not in CUT_OFF)
    assert set(tries.values()) == {1}


def test_of_one_team_one_sync_runs_at_a_time(story: Story) -> None:
    for team in story.teams:
        runs = sorted(story.of(team.name), key=lambda run: run.began)
        for before, after in itertools.pairwise(runs):
            assert before.ended <= after.began, team.name
    by_team = defaultdict(list)
    for name, began, ended, _ in story.target_runs:
        by_team[name].append((began, ended))
    for spans in by_team.values():
        for (_, ended), (began, _) in itertools.pairwise(spans):
            assert ended is None or ended <= began


def test_accounts_go_before_the_contacts_of_their_team(story: Story) -> None:
    runs = sorted(story.of("ordered"), key=lambda run: run.began)
    assert [run.sync for run in runs] == ["ordered/crm-accounts", "ordered/crm-contacts"]


def test_each_stream_of_each_team_has_its_state_in_postgresql(story: Story) -> None:
    assert story.states == {
        f"prod:tap-postgres-to-target-apollo:{sync.replace('/', '-')}"
        for team in story.teams
        for sync in team.syncs
        if team.by_meltano or (WHOLE and team.name != "refused")
    }


def test_no_secret_is_in_the_log_or_in_the_engines_tables(story: Story) -> None:
    assert any("ended with exit code 0" in text for text in story.logs.values())
    assert not [name for name, text in story.logs.items() if "key-of-" in text]
    assert story.with_keys == ""
