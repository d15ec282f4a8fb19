"""The rules by name, in the order in which they are applied and reported."""

from __future__ import annotations

from target_apollo.mapper.rules.base import (
    Check,
    Lead,
    LookupCheck,
    NotYet,
    Rule,
    StreamFacts,
    WithholdField,
)
from target_apollo.mapper.rules.company import NotTestRecord, Unique, ValidCompany, ValidEmail
from target_apollo.mapper.rules.email_status import EmailStatus
from target_apollo.mapper.rules.known import LedgerRule
from target_apollo.mapper.rules.owner import OwnerMapped
from target_apollo.mapper.rules.qualification import (
    CompanyOnly,
    IcpFit,
    NotCustomer,
    NotQuarantined,
    Stage,
    StageSelected,
)
from target_apollo.mapper.rules.synced import NotSynced
from target_apollo.mapper.rules.timing import ActiveSince, Settled

__all__ = [
    "RULES",
    "Check",
    "EmailStatus",
    "Lead",
    "LedgerRule",
    "LookupCheck",
    "NotSynced",
    "NotYet",
    "OwnerMapped",
    "Rule",
    "StreamFacts",
    "WithholdField",
]

_ON: tuple[type[Rule], ...] = (
    *(CompanyOnly, NotCustomer, IcpFit, Stage, NotQuarantined, ValidCompany),
    *(OwnerMapped, NotSynced, Settled),
)
_OFF: tuple[type[Rule], ...] = (
    *(ValidEmail, EmailStatus, NotTestRecord, ActiveSince, StageSelected, Unique),
)

RULES: dict[str, type[Rule]] = {rule.rule: rule for rule in (*_ON, *_OFF)}

ON_BY_DEFAULT = frozenset(rule.rule for rule in _ON)
"""The rules that apply unless the settings turn them off."""
