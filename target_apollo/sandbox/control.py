"""The control endpoints under ``/_sandbox/``, for other processes, and the page at ``/``."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from target_apollo.sandbox.data import lists
from target_apollo.sandbox.data.origins import BY_HAND, Origin
from target_apollo.sandbox.page import rendering
from target_apollo.sandbox.serving.faults import Fault
from target_apollo.sandbox.state import Sandbox

_SEEDS = (
    "contacts", "accounts", "users", "custom_fields", "deal_stages", "deals", "email_accounts",
    "sequences", "enrolments", "tasks", "lists",
)  # fmt: skip
_RESETS = ("log", "quota", "faults")


def routes(sandbox: Sandbox) -> list[Route]:
    """The routes of the control endpoints and of the page."""
    control = _Control(sandbox)
    reads: dict[str, Callable[[Request], Any]] = {
        "contacts": control.contacts,
        "accounts": control.accounts,
        "labels": lambda _: sandbox.store.labels(),
        "users": lambda _: sandbox.store.users(),
        "custom_fields": lambda _: sandbox.store.custom_fields(),
        "deals": lambda request: sandbox.store.deals.all(_last(request)),
        "deal_stages": lambda _: sandbox.store.deals.stages,
        "sequences": lambda _: sandbox.store.sequences.all(),
        "email_accounts": lambda _: sandbox.store.sequences.email_accounts(),
        "enrolments": lambda _: sandbox.store.sequences.enrolments(),
        "tasks": lambda request: sandbox.store.tasks.all(_last(request)),
        "lists": lambda _: lists.all_members(sandbox.store),
        "requests": control.requests,
        "quota": lambda _: control.quota(),
        "options": lambda _: control.options(),
        "revision": lambda _: rendering.revision(sandbox),
    }
    writes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "faults": control.order,
        "reset": control.reset,
        "seed": control.seed,
        "merge": control.merge,
        "delete": control.delete,
        "forget": control.forget,
        "sequences": lambda sent: sandbox.store.sequences.change(**sent),
        "hold_back": control.hold_back,
        "lists": control.change_list,
        "options": control.change,
        "authorize": control.authorize,
    }
    return [
        Route("/", _page(sandbox), methods=["GET"]),
        *(
            Route(f"/_sandbox/{name}", _reading(read), methods=["GET"])
            for name, read in reads.items()
        ),
        *(
            Route(f"/_sandbox/{name}", _writing(sandbox, name, write), methods=["POST"])
            for name, write in writes.items()
        ),
    ]


def _page(sandbox: Sandbox) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        made = rendering.page(sandbox, request.query_params)
        return HTMLResponse(made, headers=rendering.headers())

    return endpoint


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _reading(read: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return _json(read(request))

    return endpoint


def _writing(
    sandbox: Sandbox, name: str, write: Callable[[dict[str, Any]], Any]
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            sent = msgspec.json.decode(raw) if raw else {}
            if not isinstance(sent, dict):
                raise ValueError("Send a JSON object.")
            sandbox.deeds += 1
            with sandbox.store.acting(Origin(0, time.time(), f"{BY_HAND}: {name}")):
                return _json(write(sent))
        except (ValueError, TypeError, KeyError) as error:
            return _json({"error": str(error)}, 422)

    return endpoint


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def contacts(self, request: Request) -> list[dict[str, Any]]:
        return self._sandbox.store.contacts(_last(request))

    def accounts(self, request: Request) -> list[dict[str, Any]]:
        return self._sandbox.store.accounts(_last(request))

    def requests(self, request: Request) -> dict[str, Any]:
        bodies = request.query_params.get("bodies") != "no"
        return {
            "counts": self._sandbox.log.counts(),
            "requests": [
                {
                    "method": seen.method,
                    "path": seen.path,
                    "endpoint": seen.endpoint,
                    # The body of a token request consists of secrets.
                    "body": seen.body if bodies and seen.endpoint != "POST /oauth/token" else None,
                    "status": seen.status,
                    "at": seen.at,
                    "api_key_in_url": seen.api_key_in_url,
                    "fault": None if seen.fault is None else seen.fault.value,
                }
                for seen in self._sandbox.requests[-_last(request) :]
            ],
        }

    def quota(self) -> dict[str, Any]:
        return {
            entry: [dataclasses.asdict(window) for window in usage]
            for entry, usage in self._sandbox.quota().items()
        }

    def options(self) -> dict[str, Any]:
        store = self._sandbox.store
        return {
            "team_id": store.team_id,
            "contacts": len(store.contact_by_id),
            "accounts": len(store.account_by_id),
            **self._sandbox.options.as_json(),
        }

    def order(self, sent: dict[str, Any]) -> dict[str, Any]:
        self._sandbox.inject(Fault.from_json(sent))
        return {"ordered": True}

    def reset(self, sent: dict[str, Any]) -> dict[str, Any]:
        what = sent.get("what", list(_RESETS))
        if not isinstance(what, list) or not set(what) <= set(_RESETS):
            raise ValueError(f"`what` is a list of {', '.join(_RESETS)}.")
        if "log" in what:
            self._sandbox.reset_log()
        if "quota" in what:
            self._sandbox.reset_quota()
        if "faults" in what:
            self._sandbox.clear_faults()
        return {"reset": what}

    def seed(self, sent: dict[str, Any]) -> dict[str, Any]:
        unknown = sent.keys() - set(_SEEDS)
        if unknown:
            raise ValueError(f"A seed has of {', '.join(_SEEDS)}.")
        store, sequences = self._sandbox.store, self._sandbox.store.sequences
        # What a record may refer to comes before it.
        return {
            "custom_fields": [
                store.add_custom_field(**row) for row in sent.get("custom_fields", ())
            ],
            "users": [store.add_user(**row) for row in sent.get("users", ())],
            "accounts": [store.add_account(**row) for row in sent.get("accounts", ())],
            "contacts": [store.add_contact(**row) for row in sent.get("contacts", ())],
            "deal_stages": [store.deals.add_stage(**row) for row in sent.get("deal_stages", ())],
            "deals": [store.deals.add(**row) for row in sent.get("deals", ())],
            "email_accounts": [
                sequences.add_email_account(**row) for row in sent.get("email_accounts", ())
            ],
            "sequences": [sequences.add(**row) for row in sent.get("sequences", ())],
            "enrolments": [sequences.enrol(**row) for row in sent.get("enrolments", ())],
            "tasks": [store.tasks.add(**row) for row in sent.get("tasks", ())],
            "lists": [lists.add(store, **row) for row in sent.get("lists", ())],
        }

    def merge(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Merge one record into another: ``{"contacts": {"loser": id, "survivor": id}}``."""
        store = self._sandbox.store
        kind, ids = _one_kind("A merge", sent)
        if not isinstance(ids, dict) or ids.keys() != {"loser", "survivor"}:
            raise ValueError("A merge names the ids of a loser and a survivor.")
        merge = store.merge_contacts if kind == "contacts" else store.merge_accounts
        return merge(str(ids["loser"]), str(ids["survivor"]))

    def delete(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Delete records as a user does in Apollo's app: ``{"contacts": [id, …]}``."""
        store = self._sandbox.store
        deletions = {
            "contacts": store.delete_contact,
            "accounts": store.delete_account,
            "deals": store.deals.delete,
            "tasks": store.tasks.delete,
        }
        kind, ids = _one_kind("A deletion", sent, deletions)
        return {"deleted": _each(ids, deletions[kind])}

    def forget(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Make records vanish, as if they had never existed: ``{"accounts": [id, …]}``."""
        store = self._sandbox.store
        kind, ids = _one_kind("A request to forget", sent)
        forget = store.forget_contact if kind == "contacts" else store.forget_account
        return {"forgotten": _each(ids, forget)}

    def hold_back(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Have contacts skipped by sequences: ``{id: "contacts_in_pending_state"}``."""
        for contact_id, reason in sent.items():
            self._sandbox.store.sequences.hold_back(contact_id, str(reason))
        return {"held_back": [*sent]}

    def change_list(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Change a list as people do: ``{"what": "rename", "name": "Fair", "to": "Fair 2026"}``."""
        changes: dict[str, Callable[..., dict[str, Any]]] = {
            "add": lists.add,
            "take_off": lists.take_off,
            "rename": lists.rename,
            "delete": lists.delete,
        }
        what = sent.pop("what", None)
        if what not in changes:
            raise ValueError(f"`what` must be one of {', '.join(changes)}.")
        return changes[what](self._sandbox.store, **sent)

    def authorize(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Consent to an OAuth app, as a user does on Apollo's page.

        Returns ``{"location": …}``, the address to which the browser is sent.
        """
        if sent.get("client_id") != self._sandbox.oauth.client_id:
            raise ValueError("No OAuth app has this client_id.")
        target = urlsplit(str(sent.get("redirect_uri", "")))
        if target.scheme not in ("http", "https"):
            raise ValueError("`redirect_uri` must be an http or https address.")
        if sent.get("code_challenge") and sent.get("code_challenge_method") != "S256":
            raise ValueError("`code_challenge_method` must be S256.")
        code = self._sandbox.oauth.issue_code(
            str(sent.get("scope") or "*"),
            target.geturl(),
            str(sent["code_challenge"]) if sent.get("code_challenge") else None,
        )
        query = urlencode({"code": code, "state": str(sent.get("state", ""))})
        joined = f"{target.query}&{query}" if target.query else query
        return {"location": urlunsplit(target._replace(query=joined))}

    def change(self, sent: dict[str, Any]) -> dict[str, Any]:
        self._sandbox.set_options(**sent)
        return self.options()


def _last(request: Request) -> int:
    """The parameter ``last``: how many of the newest records to return; 0 returns all."""
    limit = request.query_params.get("last", "")
    return int(limit) if limit.isdigit() else 0


def _one_kind(
    what: str, sent: dict[str, Any], kinds: Iterable[str] = ("contacts", "accounts")
) -> tuple[str, Any]:
    if len(sent) != 1 or not set(sent) <= set(kinds):
        raise ValueError(f"{what} has one of {', '.join(kinds)}.")
    return next(iter(sent.items()))


def _each(ids: Any, change: Callable[[str], None]) -> list[str]:
    if not isinstance(ids, list):
        raise ValueError("Send the ids as a list.")
    for record_id in ids:
        change(str(record_id))
    return ids
