"""Rules on time: the last change is long enough ago, the last activity is recent enough."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from msgspec import Meta
from typing_extensions import override

from target_apollo.mapper.rules.base import (
    Check,
    FieldRule,
    Lead,
    NotYet,
    StreamFacts,
    kind,
    shown,
)
from target_apollo.model.texts.placeholders import is_nothing
from target_apollo.model.times import moment


class Settled(FieldRule, frozen=True, kw_only=True):
    """Not modified in the last minutes; a lead that was is held until it has come to rest."""

    rule: ClassVar[str] = "settled"

    field: str = "updated_at"
    minutes: Annotated[float, Meta(gt=0, le=60 * 24 * 365)] = 5

    @override
    def may_hold(self) -> bool:
        """True: a lead that changed just now passes later without a change."""
        return True

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the last change is at least `minutes` ago; a lead without one passes."""
        field, clock, rest = self.field, stream.clock, timedelta(minutes=self.minutes)
        unsettled = NotYet(f"was modified in the last {self.minutes:g} minutes")

        def check(lead: Lead) -> str | None:
            value = lead.get(field)
            changed = moment(value)
            if changed is not None:
                return None if changed <= clock() - rest else unsettled
            return None if is_nothing(value) else _no_time("time of the last change", value)

        return check


class ActiveSince(FieldRule, frozen=True, kw_only=True):
    """Some activity within the last months."""

    rule: ClassVar[str] = "active_since"

    field: str = "last_activity_at"
    months: Annotated[int, Meta(ge=1, le=1200)] = 12

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the last activity is at most `months` calendar months ago."""
        field, months = self.field, self.months
        earliest = months_before(stream.clock(), months)

        def check(lead: Lead) -> str | None:
            value = lead.get(field)
            active = moment(value)
            if active is not None:
                return None if active >= earliest else f"no activity in the last {months} months"
            return "no activity is known" if is_nothing(value) else _no_time("last activity", value)

        return check


def months_before(moment: datetime, months: int) -> datetime:
    """The same day some calendar months earlier, or the last day of a month that is too short."""
    count = moment.year * 12 + moment.month - 1 - months
    year, month = count // 12, count % 12 + 1
    return moment.replace(
        year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1])
    )


def _no_time(what: str, value: object) -> str:
    found = shown(value) if isinstance(value, str) else kind(value)
    return f"the {what} is {found}, not a date or timestamp"
