"""Answers the test that Meltano makes of a loader (``meltano config test target-apollo``).

Meltano sends a stream with one record, which it expects the loader to write. No run but that test
has a stream of this name. Here it is not written: credentials and settings are checked in its
place.
"""

from __future__ import annotations

from typing import Final

from target_apollo.config.settings import SettingsError
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sync.remarks import Remarks, Weight
from target_apollo.sync.run import SyncRun
from target_apollo.sync.settings_check import SettingsCheck

#: The stream of Meltano's test.
MELTANO_TEST: Final = "meltano_test_stream"


def answer_test(run: SyncRun) -> None:
    """Checks what a run with these settings would refuse whatever its rows are; writes nothing.

    Raises:
        ApolloError, RunError: Apollo does not know the credentials, or can't be reached.
        SettingsError: A run would be refused.
    """
    _ = run.connection
    remarks = Remarks()
    SettingsCheck(run, [*ObjectKind], remarks).check()
    faults = [one.sentence for one in remarks.all if one.weight is Weight.FAULT]
    if faults:
        raise SettingsError(faults)
    run.logger.info(
        "This is Meltano's test of a loader: Apollo knows the credentials, the settings can be "
        "followed, and nothing is written. `apollo-sync check` says more."
    )
