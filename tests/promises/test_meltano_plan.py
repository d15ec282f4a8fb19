"""Plan, first small sync and full run through Meltano: nothing is skipped and nothing is lost."""

from __future__ import annotations

import pytest

from target_apollo.apollo.endpoints import READING
from target_apollo.demo.meltano import Project
from target_apollo.demo.sandbox import RunningSandbox
from tests.promises.test_meltano_run import (  # noqa: F401 - fixtures
    Sync,
    folder,
    project,
    rows,
    sandbox,
    server,
    sync,
)

pytestmark = pytest.mark.full


def test_a_plan_a_small_sync_and_the_whole_run(
    project: Project,  # noqa: F811
    sandbox: RunningSandbox,  # noqa: F811
) -> None:
    planned = sync(project, sandbox, TARGET_APOLLO_DRY_RUN="true")
    assert set(planned.requests) <= READING
    assert "Plan: The run would send" in planned.run.text
    assert planned.held.contacts == {}

    small = sync(
        project,
        sandbox,
        TARGET_APOLLO_MAX_RECORDS="10",
        TARGET_APOLLO_MAX_REJECTED_PERCENT="100",
    )
    assert small.summary["records"]["received"] == 10
    assert "STATE is not advanced" in small.run.text

    # The tap begins where it began before: neither of the two has moved its bookmark.
    whole = sync(project, sandbox)
    created = sum(one.summary["records"]["created"] for one in (small, whole))
    assert whole.summary["records"]["received"] == planned.summary["records"]["received"]
    assert created == planned.summary["records"]["created"]
    assert whole.summary["records"]["rejected"] == planned.summary["records"]["rejected"]
