"""The definitions of docs/how-to/many-teams, read by the real Dagster and the real Airflow.

What a whole run with each makes of eight teams is tests/promises/test_many_teams.py.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.taps import surroundings
from tests.helpers.teams import EXAMPLE, engine

pytestmark = pytest.mark.full

#: Beside the definitions: a sync that ends as the test says.
_ENDS = """
import json
from datetime import datetime, timezone
from types import SimpleNamespace

import one_sync

AT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ENDS = {
    "well": None,
    "later": one_sync.Later("Quota.", AT),
    "person": one_sync.PersonNeeded("Key."),
    "failed": one_sync.SyncFailed("Network."),
}


def ending(end):
    def sync(team, stream):
        if end is not None:
            raise end
        return {"created": 3}
    return sync


def raised(call):
    try:
        return call()
    except BaseException as why:
        return why
"""
_DAGSTER = """
import dagster
import dagster_teams
from dagster_teams import LATER, PARTITION, definitions, requests, sync_stream, sync_teams, waiting

found = {}
for name, end in ENDS.items():
    dagster_teams.sync = ending(end)
    tags, metadata = {}, {}
    context = SimpleNamespace(
        partition_key="acme/crm-contacts",
        run_id="1",
        instance=SimpleNamespace(add_run_tags=lambda _, new: tags.update(new)),
        log=SimpleNamespace(warning=lambda *_: None),
        add_output_metadata=metadata.update,
    )
    end = raised(lambda: sync_stream.compute_fn.decorated_fn(context))
    retries = [getattr(end, name, None) for name in ("max_retries", "allow_retries")]
    found[name] = [type(end).__name__, retries, tags, metadata]
instance = dagster.DagsterInstance.ephemeral()
all_of_them = [request.partition_key for request in requests(instance, AT)]
again = {"past": "2020-01-01T00:00:00+00:00", "future": "2999-01-01T00:00:00+00:00"}
for team, when in (("globex", "past"), ("initech", "future")):
    tags = {**LATER, PARTITION: f"{team}/crm-contacts", "apollo/run_again_after": again[when]}
    instance.create_run_for_job(
        sync_teams, tags=tags, status=dagster.DagsterRunStatus.SUCCESS
    )
under_way = {PARTITION: "acme/crm-accounts"}
instance.create_run_for_job(sync_teams, tags=under_way, status=dagster.DagsterRunStatus.STARTED)
repository = definitions.get_repository_def()
print(json.dumps({
    "ends": found,
    "requested": [all_of_them, [request.partition_key for request in requests(instance, AT)]],
    "waiting": sorted(partition for partition, _ in waiting(instance)),
    "started by": sorted(
        one.name for one in (*repository.schedule_defs, *repository.sensor_defs)
    ),
}))
"""
_AIRFLOW = """
import airflow_teams
from airflow.dag_processing.dagbag import DagBag

found = {}
for name, end in ENDS.items():
    airflow_teams.sync = ending(end)
    end = raised(lambda: airflow_teams.sync_stream.function("acme", "crm-contacts"))
    at = getattr(end, "reschedule_date", None)
    found[name] = [type(end).__name__, at and at.isoformat()]
bag = DagBag(str(one_sync.HERE))
print(json.dumps({
    "ends": found,
    "errors": bag.import_errors,
    "dags": {
        name: [[task.task_id, sorted(task.upstream_task_ids), task.pool, task.retries]
               for task in dag.topological_sort()]
        for name, dag in bag.dags.items()
    },
    "at a time": sorted({(dag.max_active_runs, dag.max_active_tasks) for dag in bag.dags.values()}),
}))
"""


def answer_of(python: Path, script: str, folder: Path, **settings: str) -> dict[str, Any]:
    """What a script says in its last line that was run with the definitions."""
    done = subprocess.run(
        [python, "-c", _ENDS + script],
        cwd=folder,
        env={**surroundings(), "PYTHONPATH": str(EXAMPLE), **settings},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def by_dagster(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python = engine("dagster", "python")
    folder = tmp_path_factory.mktemp("dagster")
    return answer_of(python, _DAGSTER, folder, DAGSTER_HOME=str(folder))


@pytest.fixture(scope="module")
def by_airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python = engine("airflow", "python")
    folder = tmp_path_factory.mktemp("airflow")
    return answer_of(
        python, _AIRFLOW, folder, AIRFLOW_HOME=str(folder), AIRFLOW__CORE__LOAD_EXAMPLES="false"
    )


def test_dagster_tries_again_what_may_succeed_and_nothing_that_needs_a_person(
    by_dagster: dict[str, Any],
) -> None:
    ends = {name: end for name, (end, *_) in by_dagster["ends"].items()}
    assert ends == {
        "well": "NoneType",
        "later": "NoneType",
        "person": "Failure",
        "failed": "RetryRequested",
    }
    retries = {name: found[1] for name, found in by_dagster["ends"].items()}
    assert (retries["failed"][0], retries["person"][1]) == (3, False)


def test_dagster_notes_when_a_sync_goes_on_and_what_one_has_done(
    by_dagster: dict[str, Any],
) -> None:
    assert by_dagster["ends"]["later"][2]["apollo/run_again_after"] == "2026-03-01T12:00:00+00:00"
    assert by_dagster["ends"]["well"][3] == {"created": 3}


def test_dagster_requests_all_syncs_but_those_under_way_and_those_that_wait(
    by_dagster: dict[str, Any],
) -> None:
    all_of_them, others = by_dagster["requested"]
    assert all_of_them == [
        "acme/crm-accounts",
        "acme/crm-contacts",
        "globex/crm-contacts",
        "initech/crm-contacts",
    ]
    assert others == ["acme/crm-contacts", "globex/crm-contacts"]
    assert by_dagster["waiting"] == ["globex/crm-contacts", "initech/crm-contacts"]
    assert by_dagster["started by"] == ["after_the_wait", "every_hour"]


def test_airflow_tries_again_what_may_succeed_and_nothing_that_needs_a_person(
    by_airflow: dict[str, Any],
) -> None:
    assert by_airflow["ends"] == {
        "well": ["dict", None],
        "later": ["AirflowRescheduleException", "2026-03-01T12:00:00+00:00"],
        "person": ["AirflowFailException", None],
        # Whatever else is raised is tried again.
        "failed": ["SyncFailed", None],
    }


def test_airflow_finds_a_dag_for_each_team_with_its_streams_in_their_order(
    by_airflow: dict[str, Any],
) -> None:
    contacts = ["crm-contacts", [], "apollo", 3]
    assert by_airflow["errors"] == {}
    assert by_airflow["dags"] == {
        "apollo-acme": [
            ["crm-accounts", [], "apollo", 3],
            ["crm-contacts", ["crm-accounts"], "apollo", 3],
        ],
        "apollo-globex": [contacts],
        "apollo-initech": [contacts],
    }
    assert by_airflow["at a time"] == [[1, 1]]
