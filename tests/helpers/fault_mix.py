"""A mixture of all faults of the sandbox, and random options for how Apollo answers."""

from __future__ import annotations

import random
from typing import Any

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.options import (
    AlikeInBatch,
    BulkAnswers,
    BulkFailure,
    GoneInBulk,
    UnknownId,
    UpdateRoute,
)
from target_apollo.sandbox.serving.faults import FaultBook

#: Faults that do not tell the client whether the request was carried out.
LOST = [
    FaultKind.ERROR_BEFORE_WRITE,
    FaultKind.ERROR_AFTER_WRITE,
    FaultKind.RESET_BEFORE_WRITE,
    FaultKind.RESET_AFTER_WRITE,
    FaultKind.TRUNCATED_BODY,
    FaultKind.GARBAGE_BODY,
    FaultKind.EMPTY_BODY,
    FaultKind.HTML_PAGE,
    FaultKind.RECORDS_LEFT_OUT,
]
_NO_LIMIT = 10**9
#: Endpoints whose answers must list all records; a search may find fewer.
_LEFT_OUT = (
    "POST /contacts/bulk_create",
    "POST /accounts/bulk_create",
    "POST /contacts/bulk_update",
    "POST /accounts/bulk_update",
    "POST /contacts/update_stages",
)


class CountedFaults(FaultBook):
    """Counts the faults that struck."""

    def __init__(self) -> None:
        super().__init__()
        self.struck = 0

    @property
    def ordered(self) -> bool:
        """Whether any fault is ordered."""
        return bool(self._orders)

    def strikes(self, label: str) -> Fault | None:
        fault = super().strikes(label)
        if fault is not None:
            self.struck += 1
        return fault


def order_faults(sandbox: Sandbox, seed: int, share: float) -> None:
    """Orders faults of every kind for every endpoint, for this share of all requests."""
    kinds: list[dict[str, Any]] = [
        {"kind": FaultKind.ERROR_BEFORE_WRITE, "status": 500},
        {"kind": FaultKind.ERROR_AFTER_WRITE, "status": 502},
        {"kind": FaultKind.ERROR_AFTER_WRITE, "status": 504, "records": 2},
        {"kind": FaultKind.RATE_LIMITED},
        {"kind": FaultKind.RATE_LIMITED, "retry_after": 0},
        {"kind": FaultKind.RESET_BEFORE_WRITE},
        {"kind": FaultKind.RESET_AFTER_WRITE},
        {"kind": FaultKind.TRUNCATED_BODY},
        {"kind": FaultKind.GARBAGE_BODY},
        {"kind": FaultKind.EMPTY_BODY},
        {"kind": FaultKind.HTML_PAGE, "status": 503},
        {"kind": FaultKind.SLOW, "seconds": 1.2},
    ]
    each = share / (len(kinds) + 1)
    for number, kind in enumerate(kinds):
        sandbox.inject(
            Fault(endpoint="*", times=None, probability=each, seed=seed * 100 + number, **kind)
        )
    for number, endpoint in enumerate(_LEFT_OUT):
        sandbox.inject(
            Fault(
                endpoint=endpoint,
                kind=FaultKind.RECORDS_LEFT_OUT,
                times=None,
                probability=each,
                seed=seed * 100 + 50 + number,
                records=number % 2 + 1,
            )
        )


def sandbox_options(chance: random.Random) -> SandboxOptions:
    """Options of a strict sandbox without limits, with random choices where Apollo leaves one."""
    return SandboxOptions(
        strict=True,
        seed=chance.randrange(1_000_000),
        minute_limit=_NO_LIMIT,
        hour_limit=_NO_LIMIT,
        day_limit=_NO_LIMIT,
        shuffle_answers=True,
        alike_in_batch=chance.choice(
            [AlikeInBatch.SECOND_EXISTING, AlikeInBatch.SECOND_DROPPED, AlikeInBatch.BOTH_CREATED]
        ),
        bulk_answers=chance.choice([BulkAnswers.FULL, BulkAnswers.FULL, BulkAnswers.DOCUMENTED]),
        bulk_failure=chance.choice(list(BulkFailure)),
        put_accounts=(put := chance.choice(list(UpdateRoute))),
        # One of the two methods is always taken.
        patch_accounts=(
            UpdateRoute.NOT_ALLOWED if put is UpdateRoute.ACCEPTED else UpdateRoute.ACCEPTED
        ),
        labels_touch_existing=chance.random() < 0.5,
        owner_touches_existing=chance.random() < 0.5,
        server_error_html=chance.random() < 0.5,
        unknown_id=chance.choice(list(UnknownId)),
        bad_id_names_value=chance.random() < 0.5,
        gone_in_bulk=GoneInBulk.AS_SINGLE,
    )
