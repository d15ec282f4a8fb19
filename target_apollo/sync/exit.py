"""The ways a run can end, and their exit codes. Pure.

====  ==========================================================================
0     success; some records may be rejected, within the limit
1     too many rejected records, or an error
2     wrong settings, credentials, SCHEMA or ledger, or Apollo refuses the team: every run fails
      until a person corrects that
3     Apollo's quota is used up: a later run continues where this one stopped
128+  stopped by that signal
====  ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from singer_sdk.exceptions import (
    ConfigValidationError,
    InvalidRecord,
    MapExpressionError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.apollo import (
    ApolloError,
    CredentialsRefused,
    EndpointForbidden,
    QuotaExhausted,
    TeamRefused,
    UnusableCertificates,
)
from target_apollo.config.settings import SettingsError
from target_apollo.ledger import AnotherRunActive, LedgerError, LedgerUnusable
from target_apollo.sync.source_schema import UnusableSchema
from target_apollo.system.crashes import trouble_of

OK, FAILED, MISCONFIGURED, OUT_OF_QUOTA = 0, 1, 2, 3
#: What the number of a signal is added to, as shells do.
SIGNALLED = 128
#: Exceptions about a single bad record; they end the run if `on_record_error` is ``fail``.
RECORD_ERRORS = (
    InvalidRecord,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
    MapExpressionError,
)
_MISCONFIGURED = (
    CredentialsRefused,
    EndpointForbidden,
    TeamRefused,
    SettingsError,
    LedgerUnusable,
    UnusableCertificates,
    UnusableSchema,
)


class RunError(Exception):
    """The run can't go on, for a reason other than Apollo or a single record."""

    def __init__(self, sentence: str, *, exit_code: int = FAILED) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


@dataclass(frozen=True)
class RunEnd:
    """Exit code and, where it is not 0, the sentence that says why.

    Attributes:
        run_again_after: When the cause has passed by itself (aware, UTC): a window of Apollo's rate
            limit, or another run. None where it will not, or where nobody knows when.
    """

    exit_code: int
    because: str = ""
    run_again_after: datetime | None = None


def ending_of(problem: BaseException | None, signal_number: int) -> RunEnd | None:
    """How a run ended, by its exception or signal; None for a defect of this program.

    Args:
        problem: The exception that ended the run; None if it read all its input.
        signal_number: The signal that the run received, or 0.
    """
    if signal_number:
        return RunEnd(SIGNALLED + signal_number, f"Stopped by signal {signal_number}.")
    if problem is None:
        return RunEnd(OK)
    if isinstance(problem, QuotaExhausted):
        return RunEnd(OUT_OF_QUOTA, str(problem), problem.retry_at)
    if isinstance(problem, AnotherRunActive):
        return RunEnd(MISCONFIGURED, str(problem), problem.retry_at)
    if isinstance(problem, _MISCONFIGURED):
        return RunEnd(MISCONFIGURED, str(problem))
    if isinstance(problem, ConfigValidationError):
        return RunEnd(MISCONFIGURED, " ".join(problem.errors))
    if isinstance(problem, RECORD_ERRORS):
        why = str(problem.args[0] if problem.args else problem)
        return RunEnd(FAILED, f"{why} (on_record_error is 'fail', so the run ended)")
    if isinstance(problem, RunError):
        return RunEnd(problem.exit_code, str(problem))
    if isinstance(problem, (ApolloError, LedgerError, InvalidInputLine)):
        return RunEnd(FAILED, str(problem))
    trouble = trouble_of(problem)
    return RunEnd(FAILED, trouble) if trouble else None


#: Fewer rejected records fail no run by their percentage, unless none is allowed.
FEWEST_REJECTED = 5


def check_reject_limit(
    rejected_percent: float, limit: float, rejects_path: object, *, rejected: int
) -> RunEnd:
    """How a run ended that read all its input: too many rejected records are a failure.

    Args:
        rejected: Rejected records, without those that an earlier run rejected as they are.
    """
    if rejected_percent > limit and (rejected >= FEWEST_REJECTED or limit == 0):
        return RunEnd(
            FAILED,
            f"{rejected_percent:.1f} % of the records were rejected, more than "
            f"max_rejected_percent ({limit:g}); see {rejects_path}.",
        )
    return RunEnd(OK)
