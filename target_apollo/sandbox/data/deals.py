"""Deals, which Apollo calls opportunities, and their stages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from target_apollo.sandbox.data.by_hand import refuse_unknown
from target_apollo.sandbox.data.formats import blank, offset_time
from target_apollo.sandbox.data.journal import Journal
from target_apollo.sandbox.data.records import Searched
from target_apollo.sandbox.data.workspace import Workspace

# (name, forecast category, probability, is_closed, is_won) of the stages of a new team; the first
# is the default.
_STAGES = (
    ("Qualify", "Pipeline", 10, False, False),
    ("Meet & Present", "Pipeline", 25, False, False),
    ("Propose", "Pipeline", 50, False, False),
    ("Negotiate", "Pipeline", 75, False, False),
    ("Closed Won", "Closed", 100, True, True),
    ("Closed Lost", "Omitted", 0, True, False),
)

_BLANK_DEAL: dict[str, Any] = {
    **blank(
        """
        id team_id owner_id salesforce_owner_id amount closed_date account_id description is_closed-
        is_won- name stage_name opportunity_stage_id source salesforce_id created_at
        actual_close_date next_step next_step_date closed_lost_reason closed_won_reason
        forecast_category deal_probability created_by_id current_solutions deal_source
        manually_updated_probability manually_updated_forecast crm_id crm_record_url crm_owner_id
        probability opportunity_pipeline_id stage_updated_at next_step_last_updated_at
        exchange_rate_code exchange_rate_value amount_in_team_currency forecasted_revenue
        last_activity_date existence_level typed_custom_fields{} opportunity_rule_config_statuses[]
        opportunity_contact_roles[]
        """
    ),
    "exchange_rate_code": "USD",
    "exchange_rate_value": 1,
    "existence_level": "full",
    "currency": {"name": "US Dollar", "iso_code": "USD", "symbol": "$"},
}

_WHOLE = re.compile(r"-?[0-9]{1,18}\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]+)?\Z")


class Deal(Searched):
    """A stored deal.

    Attributes:
        contact_ids: The contacts that take part in it.
    """

    __slots__ = ("contact_ids",)

    def __init__(
        self, own: dict[str, Any], contact_ids: Sequence[str] = (), found_from: float = 0.0
    ) -> None:
        super().__init__(own, found_from)
        self.contact_ids = tuple(contact_ids)


class Deals:
    """The deals of a team and the stages that they pass."""

    def __init__(self, journal: Journal, workspace: Workspace) -> None:
        self._journal = journal
        self._workspace = workspace
        self.by_id = {deal_id: Deal(**row) for deal_id, row in journal.rows("deals")}
        kept = dict(journal.rows("facts")).get("deal_stages")
        self.stages: list[dict[str, Any]] = [] if kept is None else kept["stages"]
        if not self.stages:
            pipeline_id = journal.new_id()
            for name, category, probability, is_closed, is_won in _STAGES:
                self._add_stage(name, category, probability, is_closed, is_won, pipeline_id)

    # For tests and seeds: these methods take the lock.

    def all(self, last: int = 0) -> list[dict[str, Any]]:
        """Whole deal objects, oldest first, with ``contact_ids``; 0 for ``last`` returns all."""
        with self._journal.lock:
            newest = list(self.by_id.values())[-last:]
            return [{**deal_object(deal), "contact_ids": [*deal.contact_ids]} for deal in newest]

    def add(self, *, contact_ids: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
        """Add a deal by keys of the deal object without the checks of the API; returns it.

        Raises:
            ValueError: The deal object has no such key.
        """
        refuse_unknown("deal", fields, _BLANK_DEAL)
        with self._journal.writing() as stamp:
            deal = Deal(
                self.created(stamp, self._workspace.admin_id, source="ui_form"), contact_ids
            )
            deal.own.update(fields)
            self.set_stage(deal, deal.own["opportunity_stage_id"], stamp)
            self.insert(deal)
            return deal_object(deal)

    def add_stage(
        self,
        name: str,
        *,
        probability: int = 10,
        is_closed: bool = False,
        is_won: bool = False,
    ) -> dict[str, Any]:
        """Add a stage at the end, and return it."""
        category = "Closed" if is_won else "Omitted" if is_closed else "Pipeline"
        with self._journal.writing():
            pipeline_id = self._journal.new_id()
            return self._add_stage(name, category, probability, is_closed, is_won, pipeline_id)

    def delete(self, deal_id: str) -> None:
        """Delete a deal as a user does in Apollo's app; raises ValueError for an unknown id."""
        with self._journal.writing():
            if self.by_id.pop(deal_id, None) is None:
                raise ValueError(f"There is no deal {deal_id}.")
            self._journal.keep("deals", deal_id, None)

    # For the endpoints: the caller holds the lock.

    @property
    def stage_ids(self) -> set[str]:
        """The ids of all stages."""
        return {stage["id"] for stage in self.stages}

    def created(self, stamp: str, user_id: str, source: str = "api") -> dict[str, Any]:
        """The ``own`` keys of a new deal in the first stage, of which a user is the owner."""
        return {
            "id": self._journal.new_id(),
            "team_id": self._workspace.team_id,
            "owner_id": user_id,
            "created_by_id": user_id,
            "opportunity_stage_id": self.stages[0]["id"],
            "source": source,
            "created_at": stamp,
            "last_activity_date": stamp,
        }

    def set_stage(self, deal: Deal, stage_id: str, stamp: str) -> None:
        """Put a deal into a stage, which decides its forecast and whether it is closed and won."""
        (stage,) = [stage for stage in self.stages if stage["id"] == stage_id]
        deal.own.update(
            opportunity_stage_id=stage_id,
            opportunity_pipeline_id=stage["opportunity_pipeline_id"],
            is_closed=stage["is_closed"],
            is_won=stage["is_won"],
            forecast_category=stage["forecast_category_cd"].lower(),
            deal_probability=stage["probability"],
            stage_updated_at=offset_time(stamp),
        )

    def insert(self, deal: Deal) -> None:
        """Add a new deal."""
        self.by_id[deal.own["id"]] = deal
        self._journal.keep("deals", deal.own["id"], deal)

    def merge_contacts(self, loser_id: str, survivor_id: str) -> None:
        """Let the survivor of a merge take the loser's part in deals."""
        for deal in self.by_id.values():
            if loser_id in deal.contact_ids:
                others = [survivor_id if one == loser_id else one for one in deal.contact_ids]
                deal.contact_ids = tuple(dict.fromkeys(others))
                self.changed(deal)

    def merge_accounts(self, loser_id: str, survivor_id: str) -> None:
        """Move the deals of the loser of a merge to the survivor."""
        for deal in self.by_id.values():
            if deal.own.get("account_id") == loser_id:
                deal.own["account_id"] = survivor_id
                self.changed(deal)

    def changed(self, deal: Deal) -> None:
        """Mark a changed deal for the next commit."""
        self._journal.keep("deals", deal.own["id"], deal)

    def _add_stage(
        self,
        name: str,
        category: str,
        probability: int,
        is_closed: bool,
        is_won: bool,
        pipeline_id: str,
    ) -> dict[str, Any]:
        ending = ("/Won" if is_won else "/Lost") if is_closed else ""
        stage = {
            "id": self._journal.new_id(),
            "team_id": self._workspace.team_id,
            "name": name,
            "display_order": len(self.stages),
            "forecast_category_cd": category,
            "is_won": is_won,
            "is_closed": is_closed,
            "probability": probability,
            "description": None,
            "salesforce_id": None,
            "is_meeting_set": None,
            "opportunity_pipeline_id": pipeline_id,
            "is_editable": None,
            "type": f"Closed{ending}" if is_closed else "Open",
        }
        self.stages.append(stage)
        self._journal.keep("facts", "deal_stages", {"stages": self.stages})
        return stage


def deal_object(deal: Deal) -> dict[str, Any]:
    """The whole deal object, without its account and its contacts."""
    answer = {**_BLANK_DEAL, **deal.own}
    amount, probability = answer["amount"], answer["deal_probability"]
    answer["amount_in_team_currency"] = amount
    if amount is not None and probability is not None:
        answer["forecasted_revenue"] = amount * probability / 100
    return answer


def amount_of(text: str, *, takes_decimals: bool) -> int | float | None:
    """The amount of a deal as Apollo reads it: None for anything but plain digits."""
    if _WHOLE.match(text):
        return int(text)
    return float(text) if takes_decimals and _DECIMAL.match(text) else None


def sorted_deals(deals: Iterable[Deal], key: str) -> list[Deal]:
    """Deals with the largest value of a key first, or without a key the newest first."""

    def rank(deal: Deal) -> tuple[Any, str]:
        value: Mapping[str, Any] = deal.own
        return (float(value.get(key) or 0) if key else value["created_at"], value["id"])

    return sorted(deals, key=rank, reverse=True)
