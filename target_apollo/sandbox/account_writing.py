"""How sent fields become an account's own keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from target_apollo.sandbox import custom_values, values
from target_apollo.sandbox.contact_writing import clears
from target_apollo.sandbox.fields import ACCOUNT_SCALARS
from target_apollo.sandbox.objects import Account
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.store import Store

_ADDRESS = ("raw_address", "street_address", "city", "state", "country", "postal_code")


def write(store: Store, options: SandboxOptions, account: Account, sent: Mapping[str, Any]) -> None:
    """Write the sent fields into the account; raises Refusal for a 422.

    ``sent`` holds only fields that the endpoint takes.
    """
    own = account.own
    for name, value in sent.items():
        empty = value is None or value == ""
        if empty and not clears(value, options):
            continue
        if name == "domain":
            own["domain"] = None if empty else values.bare_domain(str(value))
        elif name == "phone":
            _write_phone(own, None if empty else str(value))
        elif name == "raw_address":
            _write_address(own, None if empty else str(value))
        elif name == "phone_status_cd" and not empty:
            own["phone_status"] = str(value)
        elif name == "merged_crm_ids" and isinstance(value, list):
            account.hidden = {**(account.hidden or {}), name: [str(part) for part in value]}
        elif name in ACCOUNT_SCALARS:
            if not empty:
                own[name] = str(value)
            elif name not in ("owner_id", "account_stage_id"):
                own.pop(name, None)
    if "typed_custom_fields" in sent:
        custom_values.written(
            own, sent["typed_custom_fields"], store.workspace.fields, "account", options
        )


def _write_phone(own: dict[str, Any], raw: str | None) -> None:
    # The key sanitized_phone is in an answer only when there is a number.
    sanitized = None if raw is None else values.sanitized_phone(raw)
    own["phone"] = raw
    if sanitized is None:
        own.pop("sanitized_phone", None)
    else:
        own["sanitized_phone"] = sanitized


def _write_address(own: dict[str, Any], raw: str | None) -> None:
    # The address keys are in an answer only when there is an address.
    for key in _ADDRESS:
        own.pop(key, None)
    if raw is not None:
        own.update(
            {
                "raw_address": raw,
                "street_address": raw.partition(",")[0].strip(),
                **values.place(raw),
                "postal_code": None,
            }
        )
