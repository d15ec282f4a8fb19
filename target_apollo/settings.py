"""The settings: their JSON schema, which makes ``--about`` and the README, and their typed form."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from singer_sdk import typing as th

from target_apollo import credential_settings
from target_apollo.api import check_api_url
from target_apollo.objects import ObjectKind
from target_apollo.rows import Mode, NullPolicy

_MODES = [mode.value for mode in Mode]
_OBJECTS = [kind.value for kind in ObjectKind]


class SettingsError(Exception):
    """Settings with which no run can start; each problem is a sentence that names its setting."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(self.problems))


def _whole(low: int, high: int) -> Any:
    return th.IntegerType(minimum=low, maximum=high)


_STREAM = th.ObjectType(
    th.Property("object", th.StringType(allowed_values=_OBJECTS)),
    th.Property("mode", th.StringType(allowed_values=_MODES)),
    th.Property("key", th.ArrayType(th.StringType)),
    additional_properties=False,
)

SCHEMA: dict[str, Any] = th.PropertiesList(
    *credential_settings.PROPERTIES,
    th.Property(
        "api_url",
        th.StringType,
        default="https://api.apollo.io/api/v1",
        description="Where Apollo's API is. Plain http is refused except for this machine.",
    ),
    th.Property(
        "mode",
        th.StringType(allowed_values=_MODES),
        default="upsert",
        description="`insert` creates and leaves what exists alone, `update` changes records by "
        "their Apollo id, `upsert` creates what is new and updates what differs.",
    ),
    th.Property(
        "streams",
        th.ObjectType(additional_properties=_STREAM),
        default={},
        description="Per stream name or glob: `object` (`contacts` or `accounts`), `mode`, `key` "
        "(properties that identify a row). Without it the object is read off the stream's name.",
    ),
    th.Property(
        "null_policy",
        th.StringType(allowed_values=[policy.value for policy in NullPolicy]),
        default="ignore",
        description="`ignore`: a null is not sent; `clear`: a null empties the field in Apollo.",
    ),
    th.Property(
        "custom_fields",
        th.ObjectType(additional_properties=th.StringType),
        default={},
        description="Property of the stream -> label of the custom field, where they differ.",
    ),
    th.Property(
        "unknown_fields",
        th.StringType(allowed_values=["warn", "ignore", "fail"]),
        default="warn",
        description="Properties that are no field and no custom field: `warn` drops them and says "
        "so once, `ignore` drops them, `fail` ends the run before anything is written.",
    ),
    th.Property(
        "lists",
        th.ArrayType(th.StringType),
        default=[],
        description="Apollo lists that every written record is added to, beside its own "
        "`label_names`.",
    ),
    th.Property(
        "batch_size",
        _whole(1, 100),
        default=100,
        description="Records per bulk request.",
    ),
    th.Property(
        "parallel_requests",
        _whole(1, 32),
        default=4,
        description="Requests that are under way at the same time.",
    ),
    th.Property(
        "max_retries",
        _whole(0, 20),
        default=3,
        description="Further tries after a connection error, a timeout, 408 or 5xx.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(minimum=1, maximum=600),
        default=60,
        description="Longest wait for an answer.",
    ),
    th.Property(
        "quota_share",
        th.NumberType(exclusive_minimum=0, maximum=1),
        default=1.0,
        description="Part of each of Apollo's rate limits after which a run sends nothing; the "
        "rest of the minute, hour or day is left to people and other tools.",
    ),
    th.Property(
        "max_wait_seconds",
        th.NumberType(minimum=0, maximum=86_400),
        default=900,
        description="Longest wait for Apollo's rate limit; a longer one ends the run with exit "
        "code 3, and the next run goes on from there.",
    ),
    th.Property(
        "ledger_url",
        th.StringType,
        default="sqlite:///.target-apollo/ledger.db",
        description="SQLAlchemy URL of the ledger, which knows what each row became in Apollo: "
        "SQLite or PostgreSQL. Empty: no ledger, which costs requests but makes no duplicates.",
    ),
    th.Property(
        "full_resync",
        th.BooleanType,
        default=False,
        description="Take no row for unchanged: every row is written again, after somebody "
        "deleted or edited records in Apollo.",
    ),
    th.Property(
        "rejects_path",
        th.StringType,
        default=".target-apollo/rejects.singer",
        description="Singer file to which rejected records are appended (mode 0600).",
    ),
    th.Property(
        "on_record_error",
        th.StringType(allowed_values=["reject", "fail"]),
        default="reject",
        description="`reject`: a bad record goes to the rejects file and the run goes on; `fail`: "
        "it ends the run.",
    ),
    th.Property(
        "max_rejected_percent",
        th.NumberType(minimum=0, maximum=100),
        default=5,
        description="More rejected records than this at the end: exit code 1.",
    ),
    th.Property(
        "abort_rejected_percent",
        th.NumberType(minimum=0, maximum=100),
        default=50,
        description="More rejected records than this, once 100 have an outcome: the run stops.",
    ),
    th.Property(
        "max_creates",
        _whole(0, 1_000_000_000),
        description="A run that would create more records than this stops before it does.",
    ),
    th.Property(
        "max_updates",
        _whole(0, 1_000_000_000),
        description="The same for updates of existing records.",
    ),
    th.Property(
        "summary_path",
        th.StringType,
        description="JSON summary of the run; default `.target-apollo/runs/<run id>.json`.",
    ),
    th.Property(
        "state_interval_seconds",
        th.NumberType(minimum=0, maximum=3_600),
        default=1,
        description="STATE is written at most this often; the last one always.",
    ),
    th.Property(
        "max_record_age_seconds",
        th.NumberType(minimum=1, maximum=86_400),
        default=60,
        description="A partial batch older than this is written, so that a slow stream does not "
        "hold STATE back.",
    ),
    additional_properties=False,
).to_dict()


@dataclass(frozen=True)
class StreamSettings:
    """What is done with one stream."""

    kind: ObjectKind
    mode: Mode
    key: tuple[str, ...] | None


@dataclass(frozen=True)
class Settings:
    """All settings of a run, checked and typed; names and meanings as in `SCHEMA`."""

    api_key: str | None = field(repr=False)
    client_id: str | None
    client_secret: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    oauth_token_url: str
    token_path: str
    api_url: str
    mode: Mode
    streams: Mapping[str, Mapping[str, Any]]
    null_policy: NullPolicy
    custom_fields: Mapping[str, str]
    unknown_fields: str
    lists: tuple[str, ...]
    batch_size: int
    parallel_requests: int
    max_retries: int
    request_timeout_seconds: float
    quota_share: float
    max_wait_seconds: float
    ledger_url: str = field(repr=False)
    full_resync: bool
    rejects_path: str
    on_record_error: str
    max_rejected_percent: float
    abort_rejected_percent: float
    max_creates: int | None
    max_updates: int | None
    summary_path: str | None
    state_interval_seconds: float
    max_record_age_seconds: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """The typed form of a config in which the defaults are filled in.

        Raises:
            SettingsError: With a sentence for every setting that is wrong.
        """
        own: dict[str, Any] = {
            name: _counted(name, config.get(name)) for name in cls.__dataclass_fields__
        }
        own["api_url"] = check_api_url(config["api_url"])
        own["mode"] = Mode(config["mode"])
        own["null_policy"] = NullPolicy(config["null_policy"])
        own["lists"] = tuple(config["lists"])
        return cls(**own)

    def of_stream(self, stream: str) -> StreamSettings:
        """The settings of one stream: the first pattern under `streams` that fits, and its name.

        Raises:
            SettingsError: Neither the setting nor the name tells the object.
        """
        own = next(
            (
                found
                for pattern, found in self.streams.items()
                if fnmatch.fnmatchcase(stream, pattern)
            ),
            {},
        )
        kind = own.get("object") or object_of_name(stream)
        if kind is None:
            raise SettingsError(
                [
                    f"Stream '{stream}' fits neither contacts nor accounts by its name: set "
                    f"'streams' to say which it is, for example "
                    f'{{"{stream}": {{"object": "contacts"}}}}.'
                ]
            )
        key = own.get("key")
        return StreamSettings(
            kind=ObjectKind(kind),
            mode=Mode(own["mode"]) if "mode" in own else self.mode,
            key=tuple(key) if key else None,
        )


def _counted(name: str, value: object) -> object:
    # JSON schema takes 50.0 for a whole number; Python slices and counts by 50 only.
    whole = "integer" in SCHEMA["properties"][name]["type"]
    return int(value) if whole and isinstance(value, float) else value


def object_of_name(stream: str) -> str | None:
    """The object that a stream's name ends in, as in ``public-contacts`` or ``crm.accounts``."""
    last = re.split(r"[-.:/]|__", stream)[-1].strip().lower()
    return {"contact": "contacts", "account": "accounts"}.get(last.removesuffix("s"))


def problems_of(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """A sentence for every setting that is unknown, of the wrong type or out of range.

    The sentences never show a value: a secret may stand in the wrong place.
    """
    found = [
        _unknown(name, schema["properties"]) for name in config if name not in schema["properties"]
    ]
    relaxed = {key: value for key, value in schema.items() if key != "additionalProperties"}
    found += [_sentence(error) for error in Draft202012Validator(relaxed).iter_errors(config)]
    url = config.get("api_url")
    if isinstance(url, str):
        try:
            check_api_url(url)
        except ValueError as problem:
            found.append(str(problem))
    return found + credential_settings.credential_problems(config)


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean '{near[0]}'?" if near else "see --about for those there are."
    return f"There is no setting '{name}': {hint}"


def _sentence(error: ValidationError) -> str:
    where = ".".join(str(step) for step in error.absolute_path)
    # Typed as "anything or unset" by the library; they are set where a rule was broken.
    value: Any = error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    if error.validator == "required":
        missing = [name for name in value if name not in instance]
        return f"The setting '{'.'.join([where, *missing]).strip('.')}' is missing."
    if error.validator == "additionalProperties":
        allowed = list(schema["properties"])
        extra = [name for name in instance if name not in allowed]
        return (
            f"The setting '{where}' has no part '{', '.join(extra)}'; "
            f"it takes {', '.join(allowed)}."
        )
    rule = {
        "type": f"must be of type {_either(value)}",
        "enum": f"must be {_either(value)}",
        "minimum": f"must be at least {value}",
        "exclusiveMinimum": f"must be more than {value}",
        "maximum": f"must be at most {value}",
    }.get(str(error.validator), f"breaks the rule {error.validator}: {value}")
    return f"The setting '{where}' {rule}."


def _either(values: object) -> str:
    if not isinstance(values, list):
        return str(values)
    return " or ".join(str(value) for value in values if value not in (None, "null"))
