"""The team behind a store: its id, users, stages, lists and custom fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

MODALITIES = ("contacts", "accounts")
FIELD_TYPES = (
    "string", "textarea", "number", "date", "datetime", "boolean", "picklist", "multipicklist",
)  # fmt: skip
FIELD_MODALITIES = ("contact", "account", "opportunity")

# (name, category) of the stages of a new team; the first is the default.
_CONTACT_STAGES = (
    ("New", "in_progress"),
    ("Approaching", "in_progress"),
    ("Replied", "in_progress"),
    ("Interested", "succeeded"),
    ("Not Interested", "failed"),
    ("Unresponsive", "failed"),
    ("Do Not Contact", "failed"),
    ("Bad Data", "failed"),
    ("Changed Job", "failed"),
)
_ACCOUNT_STAGES = (
    ("Cold", None),
    ("Current Client", "succeeded"),
    ("Active Opportunity", "succeeded"),
    ("Dead Opportunity", "failed"),
    ("Do Not Prospect", "failed"),
)
_FIRST_USERS = (
    ("Avery", "Admin", "avery.admin@sandbox.example"),
    ("Robin", "Rep", "robin.rep@sandbox.example"),
)


class Workspace:
    """A team's settings.

    It calls ``changed(table, id, value)`` for each value that the store must write to its file. Not
    thread-safe: the store calls it under its lock.
    """

    def __init__(self, new_id: Callable[[], str], changed: Callable[[str, str, Any], None]) -> None:
        self._new_id = new_id
        self._changed = changed
        self.team_id = ""
        self.users: dict[str, dict[str, Any]] = {}
        self.contact_stages: list[dict[str, Any]] = []
        self.account_stages: list[dict[str, Any]] = []
        self.contact_stage_ids: set[str] = set()
        self.account_stage_ids: set[str] = set()
        self.labels: dict[str, dict[str, Any]] = {}
        self._label_ids: dict[tuple[str, str], str] = {}
        self.fields: dict[str, dict[str, Any]] = {}
        self.counts_told: dict[str, int] = {}

    @property
    def admin_id(self) -> str:
        """Id of the user on whose behalf API keys act: the first one of the team."""
        return next(iter(self.users))

    def create_team(self, stamp: str) -> None:
        """Create a new team with two users and Apollo's usual stages; ``stamp`` is the time now."""
        self.team_id = self._new_id()
        for first, last, email in _FIRST_USERS:
            self.add_user(stamp, first_name=first, last_name=last, email=email)
        self.contact_stages = [
            {**self._stage(name, order, category), "ignore_trigger_override": None}
            for order, (name, category) in enumerate(_CONTACT_STAGES)
        ]
        self.account_stages = [
            {**self._stage(name, order, category), "default_exclude_for_leadgen": order > 0}
            for order, (name, category) in enumerate(_ACCOUNT_STAGES, 1)
        ]
        self._index_stages()
        self._changed(
            "facts",
            "team",
            {
                "team_id": self.team_id,
                "contact_stages": self.contact_stages,
                "account_stages": self.account_stages,
            },
        )

    def restore(
        self,
        team: dict[str, Any],
        users: Iterable[tuple[str, Any]],
        labels: Iterable[tuple[str, Any]],
        fields: Iterable[tuple[str, Any]],
    ) -> None:
        """Load a team from the rows of a store's file."""
        self.team_id = team["team_id"]
        self.contact_stages = team["contact_stages"]
        self.account_stages = team["account_stages"]
        self._index_stages()
        self.users = dict(users)
        self.fields = dict(fields)
        for label_id, label in labels:
            self.labels[label_id] = label
            self._label_ids[label["modality"], label["name"]] = label_id

    def add_user(self, stamp: str, **fields: Any) -> dict[str, Any]:
        """Add a user: ``email``, ``first_name``, ``last_name``, ``title``, ``deleted``."""
        user_id = str(fields.pop("id", "") or self._new_id())
        user = {
            "id": user_id,
            "team_id": self.team_id,
            "first_name": None,
            "last_name": None,
            "title": None,
            "email": f"user-{user_id}@sandbox.example",
            "created_at": stamp,
            "deleted": False,
            **fields,
        }
        user["name"] = f"{user['first_name'] or ''} {user['last_name'] or ''}".strip()
        self.users[user_id] = user
        self._changed("users", user_id, user)
        return user

    def add_field(
        self,
        stamp: str,
        modality: str,
        label: str,
        kind: str,
        picklist_values: Sequence[str] = (),
        max_length: int | None = None,
    ) -> dict[str, Any]:
        """Add a custom field and return it.

        Args:
            stamp: The time now.
            modality: One of FIELD_MODALITIES.
            label: The name that people see.
            kind: One of FIELD_TYPES.
            picklist_values: Names of the options.
            max_length: Most characters of a text; None for no limit.

        Raises:
            ValueError: The modality or the type does not exist.
        """
        if modality not in FIELD_MODALITIES or kind not in FIELD_TYPES:
            raise ValueError(f"no custom field of type {kind!r} for {modality!r}")
        field_id = self._new_id()
        field = {
            "id": field_id,
            "modality": modality,
            "name": label,
            "type": kind,
            "picklist_values": [
                {"id": option, "name": name}
                for name in picklist_values
                for option in (self._new_id(),)
            ],
            "text_field_max_length": max_length,
            "created_at": stamp,
        }
        self.fields[field_id] = field
        self._changed("fields", field_id, field)
        return field

    def change_field(
        self,
        field: dict[str, Any],
        label: str | None,
        picklist_values: Sequence[dict[str, Any]] | None,
        max_length: int | None,
    ) -> None:
        """Change what is given of a custom field; an option without an id gets a new one."""
        if label:
            field["name"] = label
        if picklist_values:
            field["picklist_values"] = [
                {"id": str(option.get("id") or self._new_id()), "name": option.get("name")}
                for option in picklist_values
            ]
        if max_length is not None:
            field["text_field_max_length"] = max_length
        self._changed("fields", field["id"], field)

    def label(self, stamp: str, modality: str, name: str, user_id: str) -> dict[str, Any]:
        """The list of this name, which is created if it does not exist."""
        label_id = self._label_ids.get((modality, name))
        if label_id is not None:
            return self.labels[label_id]
        label_id = self._new_id()
        label: dict[str, Any] = {
            "_id": label_id,
            "cached_count": 0,
            "concurrency_locks": {},
            "created_at": stamp,
            "modality": modality,
            "name": name,
            "need_cached_count_update": False,
            "needs_count_update_at": stamp,
            "rule_config_template_id": None,
            "team_id": self.team_id,
            "updated_at": stamp,
            "user_id": user_id,
            "id": label_id,
            "key": label_id,
        }
        self.labels[label_id] = label
        self._label_ids[modality, name] = label_id
        self._changed("labels", label_id, label)
        return label

    def label_named(self, modality: str, name: str) -> dict[str, Any] | None:
        """The list of this name, or None."""
        label_id = self._label_ids.get((modality, name))
        return None if label_id is None else self.labels[label_id]

    def rename_label(self, stamp: str, label: dict[str, Any], name: str) -> None:
        """Rename a list."""
        del self._label_ids[label["modality"], label["name"]]
        self._label_ids[label["modality"], name] = label["id"]
        label["name"], label["updated_at"] = name, stamp
        self._changed("labels", label["id"], label)

    def delete_label(self, label: dict[str, Any]) -> None:
        """Delete a list on which no record is left."""
        del self._label_ids[label["modality"], label["name"]]
        del self.labels[label["id"]]
        self._changed("labels", label["id"], None)

    def count_label(self, label_id: str, difference: int) -> None:
        """Add ``difference`` to the number of records of a list (its ``cached_count``)."""
        label = self.labels.get(label_id)
        if label is not None and difference:
            label["cached_count"] += difference
            self._changed("labels", label_id, label)

    def set_labels(self, own: dict[str, Any], label_ids: Iterable[str]) -> None:
        """Put the record with these keys on exactly these lists, and correct the lists' counts."""
        before = set(own.get("label_ids", ()))
        after = list(dict.fromkeys(label_ids))
        for label_id in before.difference(after):
            self.count_label(label_id, -1)
        for label_id in after:
            if label_id not in before:
                self.count_label(label_id, 1)
        own["label_ids"] = after

    def _stage(self, name: str, order: int, category: str | None) -> dict[str, Any]:
        return {
            "id": self._new_id(),
            "team_id": self.team_id,
            "display_name": name,
            "name": name,
            "display_order": order,
            "category": category,
            "is_meeting_set": None,
        }

    def _index_stages(self) -> None:
        self.contact_stage_ids = {stage["id"] for stage in self.contact_stages}
        self.account_stage_ids = {stage["id"] for stage in self.account_stages}
