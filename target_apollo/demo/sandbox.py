"""Runs the sandbox in a process, and reads its state over HTTP."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import requests

from target_apollo.demo.crm_rows import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

API_KEY = "sandbox"
_ANNOUNCEMENT = "listening on "
_SECONDS_TO_STOP = 10


class SandboxError(Exception):
    """The sandbox did not start or did not answer."""


class RunningSandbox:
    """A client of the sandbox at ``api_url``; its methods raise `SandboxError`."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url
        self.page = api_url.removesuffix("/api/v1") + "/"
        self._session = requests.Session()
        # A proxy of the caller must not get requests to the loopback.
        self._session.trust_env = False

    def workspace(self) -> Workspace:
        """The users and stages of its team, read through the API."""
        users = self._get("/api/v1/users/search?per_page=100")["users"]
        contact_stages = self._get("/api/v1/contact_stages")["contact_stages"]
        account_stages = self._get("/api/v1/account_stages")["account_stages"]
        return Workspace(
            owner_emails=tuple(user["email"] for user in users),
            contact_stages=tuple(stage["name"] for stage in contact_stages),
            account_stages=tuple(stage["name"] for stage in account_stages),
        )

    def contacts(self) -> dict[str, list[dict[str, Any]]]:
        """E-mail address -> the contacts that have it; more than one are duplicates."""
        return _by("email", self._get("/_sandbox/contacts"))

    def accounts(self) -> dict[str, list[dict[str, Any]]]:
        """Domain -> the accounts that have it; more than one are duplicates."""
        return _by("domain", self._get("/_sandbox/accounts"))

    def members(self, name: str) -> set[str]:
        """E-mail addresses of the contacts on a list."""
        ids = {one["id"] for one in self._get("/_sandbox/labels") if one["name"] == name}
        contacts = self._get("/_sandbox/contacts")
        return {str(one["email"]) for one in contacts if ids & set(one.get("label_ids") or ())}

    def put_on_list(self, name: str, contact_id: str) -> None:
        """Put a contact on a list, as a person does."""
        body = {"entity_ids": [contact_id], "label_names": [name], "modality": "contacts"}
        path = "/api/v1/labels/add_entity_ids_to_label_names"
        self._send("POST", path, json={**body, "async": False})

    def requests(self) -> dict[str, int]:
        """Endpoint -> number of requests since the start or the last `forget_requests`."""
        return dict(self._get("/_sandbox/requests?last=1")["counts"])

    def forget_requests(self) -> None:
        """Set the counts of requests to zero."""
        self._send("POST", "/_sandbox/reset", json={"what": ["log"]})

    def seed(self, **records: list[dict[str, Any]]) -> None:
        """Put in what a sync can't make, such as ``sequences``."""
        self._send("POST", "/_sandbox/seed", json=records)

    def enrolments(self) -> list[dict[str, Any]]:
        """The enrolments of contacts into sequences."""
        found: list[dict[str, Any]] = self._get("/_sandbox/enrolments")
        return found

    def _get(self, path: str) -> Any:
        return self._send("GET", path)

    def _send(self, method: str, path: str, **arguments: Any) -> Any:
        url = self.page.rstrip("/") + path
        headers = {"x-api-key": API_KEY}
        try:
            answer = self._session.request(method, url, headers=headers, timeout=30, **arguments)
            answer.raise_for_status()
            return answer.json()
        except requests.RequestException as error:
            raise SandboxError(f"The sandbox did not answer {method} {path}: {error}") from error


@contextlib.contextmanager
def running_sandbox(log: Path, *arguments: str) -> Iterator[RunningSandbox]:
    """Run ``python -m target_apollo.sandbox --strict`` on a free port until the context ends.

    ``log`` gets its stderr. Raises `SandboxError` if it does not start.
    """
    command = [sys.executable, "-m", "target_apollo.sandbox", "--port", "0", "--strict", *arguments]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Ctrl-C must reach only the demo, which stops the sandbox at its end.
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        # The read also ends if the sandbox exits.
        line = process.stdout.readline()
        if _ANNOUNCEMENT not in line:
            raise SandboxError(f"The sandbox did not start, see {log}.")
        yield RunningSandbox(line.split(_ANNOUNCEMENT, 1)[1].strip())
    finally:
        process.terminate()
        try:
            process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _by(key: str, records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(record.get(key) or "", []).append(record)
    return groups
