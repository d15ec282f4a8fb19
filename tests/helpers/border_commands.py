"""Commands that read what a team has set up, while Apollo's answers are altered.

`apollo-sync check`, `fields`, `plan` and `results`, and a run of the target with OAuth 2.0.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from target_apollo.cli import main
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.system import crashes
from tests.helpers.altered_answers import Alteration, Reply
from tests.helpers.altering_server import AlteringServer
from tests.helpers.border_runs import EXIT_CODES, KEY, run_inside, shown_in
from tests.helpers.border_scenes import ADA, ROBIN, Scene
from tests.promises.conftest import lines_of

SECRET = "sandbox-secret"
TOKENS = "POST /oauth/token"


@dataclass(frozen=True)
class Command:
    """A command line; ``{}`` in an argument is the folder. Without arguments, a run of the target.

    Attributes:
        few: Whether its key may not ask who it is, which lets `check` ask for health.
    """

    name: str
    arguments: tuple[str, ...] = ()
    few: bool = False

    def __str__(self) -> str:
        return self.name


_CONFIG = ("--config", "{}/config.json")
COMMANDS = (
    Command("check", ("check", *_CONFIG)),
    Command("check of objects", ("check", "--config", "{}/objects.json")),
    Command("check without profile", ("check", "--json", *_CONFIG), few=True),
    Command("fields", ("fields", *_CONFIG)),
    Command("fields as JSON", ("fields", "--json", *_CONFIG)),
    Command(
        "fields made",
        ("fields", "--create-missing-fields", "--catalog", "{}/catalog.json", "--yes", *_CONFIG),
    ),
    Command("plan", ("plan", *_CONFIG, "{}/input.singer")),
    Command("results", ("results", *_CONFIG)),
    Command("run with OAuth"),
)
_OBJECTS = {name: {"object": name} for name in ("deals", "tasks", "sequence_members")}
_CATALOG = {
    "streams": [
        {
            "tap_stream_id": "contacts",
            "key_properties": ["id"],
            "schema": {"properties": {"email": {"type": "string"}, "shoe": {"type": "string"}}},
        }
    ]
}


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    exit_code: int
    out: str
    log: str


class CommandBorder:
    """Plays commands with altered answers, each in a new team and a new folder."""

    def __init__(self, server: AlteringServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._number = 0
        self.altered = 0

    def recorded(self, command: Command) -> dict[str, list[Reply]]:
        """The answers that a command gets, by the label of their endpoint."""
        found: dict[str, list[Reply]] = {}

        def listen(label: str, reply: Reply) -> None:
            found.setdefault(label, []).append(reply)

        problems = self._play(command, listen)
        if problems:
            raise AssertionError(f"{command}, without an alteration: {problems}")
        return found

    def play(self, command: Command, alteration: Alteration) -> list[str]:
        """The problems of a command with an alteration, each as ``<kind>: <sentence>``."""

        def alter(label: str, reply: Reply) -> Reply | None:
            if label != alteration.endpoint:
                return None
            altered = alteration.of(reply, {"id": "f" * 24, "name": "Other", "email": ADA})
            self.altered += altered is not None
            return altered

        return self._play(command, alter)

    def _play(self, command: Command, alter: Callable[[str, Reply], Reply | None]) -> list[str]:
        self._number += 1
        folder = self._folder / f"command-{self._number}"
        folder.mkdir()
        entries: list[str] | None = None
        if command.few:
            entries = ["api/v1/contacts/bulk_create"]
        options = SandboxOptions(strict=True, api_keys={KEY: entries}, gzip_answers=False)
        with self._server.holding(options) as sandbox:
            _furnish(sandbox, folder)
            first = _held(sandbox)
            self._server.alter = alter
            ended = _call(command, sandbox, folder)
            self._server.alter = None
            problems = _broken(command, ended)
            if self._server.is_trapped():
                problems.append("leaked: a request went where an answer pointed to")
            if command.arguments and _held(sandbox) != first:
                problems.append("written over: a command that reads has written")
            later = _call(command, sandbox, folder)
            problems += _broken(command, later)
            if later.exit_code != (2 if command.few else 0):
                problems.append(
                    f"spoiled: later it ends with {later.exit_code}: {later.log[-500:]}"
                )
        return problems


def _furnish(sandbox: Sandbox, folder: Path) -> None:
    store = sandbox.store
    for email in (ADA, ROBIN):
        store.add_user(email=email, first_name=email[:3])
    for modality in ("contact", "account"):
        store.add_custom_field(modality, "Lead Score", "number")
    store.add_custom_field("contact", "Tier", "picklist", ["gold", "silver"])
    store.add_account(domain="client.example", name="Client")
    store.add_contact(email="p3@a.com", title="old", label_names=["Theirs"])
    rows = lines_of(Scene().messages(1, {}))
    (folder / "input.singer").write_bytes(rows)
    (folder / "catalog.json").write_text(json.dumps(_CATALOG))
    config = _config(sandbox, folder)
    (folder / "config.json").write_text(json.dumps(config))
    store.add_custom_field("opportunity", "External id", "string")
    store.sequences.add("Spring")
    of_objects = {**config, "streams": _OBJECTS, "allow_sequences": ["Spring"]}
    (folder / "objects.json").write_text(json.dumps(of_objects))
    if "bulk_create" not in str(sandbox.options.api_keys):
        # The ledger holds two rows, whose results a tap reads.
        run_inside(config, lines_of(Scene(batch=2).messages(1, {})[:4]), folder)


def _config(sandbox: Sandbox, folder: Path) -> dict[str, Any]:
    return {
        "api_key": KEY,
        "api_url": sandbox.url,
        "ledger_url": f"sqlite:///{folder}/ledger.db",
        "rejects_path": str(folder / "rejects.singer"),
        "summary_path": str(folder / "summary.json"),
        "request_timeout_seconds": 30,
        "max_retries": 0,
        "max_wait_seconds": 0,
        "max_rejected_percent": 100,
        "parallel_requests": 1,
    }


def _call(command: Command, sandbox: Sandbox, folder: Path) -> Ended:
    if not command.arguments:
        # A login after each altered answer: Apollo takes the old refresh token back at once.
        config = {
            **_config(sandbox, folder),
            "client_id": "sandbox-client",
            "client_secret": SECRET,
            "refresh_token": sandbox.oauth.refresh_token,
            "oauth_token_url": sandbox.token_url,
            "token_path": str(folder / "token.json"),
        }
        del config["api_key"]
        done = run_inside(config, (folder / "input.singer").read_bytes(), folder)
        return Ended(done.exit_code, "", done.log)
    # The messages of a tap are bytes.
    raw, log = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", errors="surrogatepass", write_through=True)
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    listener = logging.StreamHandler(log)
    root.addHandler(listener)
    level = root.level
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(log):
            exit_code = main([part.format(folder) for part in command.arguments])
    except Exception as defect:  # noqa: BLE001 - whatever it is, the command has broken
        log.write(crashes.defect_text(defect))
        exit_code = -1
    finally:
        root.setLevel(level)
        for handler in [one for one in root.handlers if one not in before]:
            root.removeHandler(handler)
    return Ended(exit_code, raw.getvalue().decode("utf-8", "surrogatepass"), log.getvalue())


def _held(sandbox: Sandbox) -> Any:
    store = sandbox.store
    return json.dumps([store.contacts(), store.accounts(), store.labels()])


def _broken(command: Command, ended: Ended) -> list[str]:
    problems = []
    if ended.exit_code not in EXIT_CODES:
        problems.append(f"defect: exit code {ended.exit_code}")
    if "Traceback" in ended.log or "defect" in ended.log:
        problems.append(f"defect: {ended.log[-1500:]}")
    problems += [f"leaked: {one}" for one in shown_in(ended.log)]
    if KEY in ended.out or SECRET in ended.log:
        problems.append("leaked: the key or the secret")
    if command.name == "results":
        problems += _of_messages(ended.out)
    else:
        problems += [f"leaked: {one}" for one in shown_in(ended.out) if "character" in one]
    return problems


def _of_messages(out: str) -> Iterator[str]:
    """What is wrong with Singer messages."""
    schemas: dict[str, Any] = {}
    for line in out.split("\n")[:-1]:
        try:
            message = json.loads(line)
        except ValueError:
            yield f"defect: no message: {line[:200]}"
            continue
        if message["type"] == "SCHEMA":
            schemas[message["stream"]] = message["schema"]
        if message["type"] == "RECORD":
            try:
                jsonschema.validate(message["record"], schemas[message["stream"]])
            except jsonschema.ValidationError as wrong:
                yield f"defect: a record of {message['stream']}: {wrong.message[:200]}"
