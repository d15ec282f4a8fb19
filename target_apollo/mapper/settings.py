"""The mapper's settings, from a config and as a JSON schema, and the clock that tests may stop."""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from target_apollo.config.paths import NamedFile, ledger_file
from target_apollo.config.typed_values import with_types
from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.keys import NamedLeads
from target_apollo.mapper.rules import (
    ON_BY_DEFAULT,
    RULES,
    LedgerRule,
    NotSynced,
    OwnerMapped,
    Rule,
)
from target_apollo.mapper.rules.base import Clock
from target_apollo.mapper.rules.qualification import AppliesTo
from target_apollo.mapper.verdicts import EARLIER
from target_apollo.model.texts.spelling import nearest_name
from target_apollo.model.times import moment

VERDICTS_PATH = ".target-apollo/verdicts.jsonl"


class OnMissingField(enum.Enum):
    """What to do if a rule names a property that the SCHEMA of the stream lacks."""

    #: End the run: with a typo in the name, every lead would be dropped.
    ERROR = "error"
    #: Do not apply the rule to this stream, and warn.
    SKIP = "skip"


@dataclass(frozen=True)
class Settings:
    """Checked settings.

    Attributes:
        streams: Names or globs of the streams that hold leads.
        output_stream: The name under which the target gets these streams; None for their own.
        rules: The rules to apply, in this order.
        always: The leads that pass whatever the rules say.
        verdicts_path: Path of the verdict file; None writes none.
        on_missing_field: See `OnMissingField`.
    """

    streams: tuple[str, ...] = ("*",)
    output_stream: str | None = None
    rules: tuple[Rule, ...] = ()
    always: NamedLeads = field(default_factory=NamedLeads)
    verdicts_path: str | None = VERDICTS_PATH
    on_missing_field: OnMissingField = OnMissingField.ERROR

    def matches(self, stream: str) -> bool:
        """Whether a stream holds leads."""
        return any(fnmatchcase(stream, pattern) for pattern in self.streams)

    @staticmethod
    def no_leads_in(streams: Iterable[str]) -> str:
        """What is wrong with the setting `streams` if none of a run's streams holds leads."""
        return (
            f"Setting streams matches no stream of this run ({', '.join(sorted(streams))} came): "
            "their records went on without being judged."
        )


class _RawSettings(msgspec.Struct, forbid_unknown_fields=True):
    """The settings as the config has them, with rules that are not checked yet."""

    streams: tuple[str, ...] = ("*",)
    output_stream: str | None = None
    rules: dict[str, Any] = msgspec.field(default_factory=dict)
    always: tuple[Any, ...] = ()
    verdicts_path: str | None = VERDICTS_PATH
    on_missing_field: OnMissingField = OnMissingField.ERROR


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Read and check a config.

    Raises:
        SettingsError: A setting or rule is unknown, of the wrong type, or makes no sense.
    """
    given = with_types(config, settings_schema())
    _refuse_unknown("setting", given, _RawSettings.__struct_fields__)
    written = _convert(given, _RawSettings, "")
    if not written.streams:
        raise SettingsError("Setting streams is empty: name the streams that hold leads.")
    return Settings(
        streams=written.streams,
        output_stream=written.output_stream or None,
        rules=_with_ledger(_rules(written.rules)),
        always=NamedLeads.of(written.always),
        verdicts_path=written.verdicts_path or None,
        on_missing_field=written.on_missing_field,
    )


def named_files(settings: Settings) -> list[NamedFile]:
    """The files that the settings name."""
    files: list[NamedFile] = []
    if settings.verdicts_path:
        instead = "Leave it empty for no verdicts."
        path = Path(settings.verdicts_path)
        files.append(NamedFile("the setting verdicts_path", path, True, (EARLIER,), instead))
    ledgers: set[str] = set()
    for rule in settings.rules:
        if isinstance(rule, OwnerMapped) and rule.map_path:
            files.append(NamedFile("the setting rules.owner_mapped.map_path", Path(rule.map_path)))
        if isinstance(rule, (NotSynced, LedgerRule)) and rule.ledger_url:
            if rule.ledger_url not in ledgers:
                setting = f"the setting rules.{rule.rule}.ledger_url"
                files += ledger_file(rule.ledger_url, named_by=setting, is_written=False)
            ledgers.add(rule.ledger_url)
    return files


def _rules(written: Mapping[str, Any]) -> tuple[Rule, ...]:
    _refuse_unknown("rule", written, RULES)
    rules = []
    for name, rule in RULES.items():
        options = written.get(name)
        if options is None:
            options = name in ON_BY_DEFAULT
        if options is False:
            continue
        setting = f"rules.{name}"
        if options is True:
            options = {}
        if not isinstance(options, dict):
            raise SettingsError(
                f"Setting {setting} must be true, false, or an object of its options."
            )
        _refuse_unknown(f"option of {setting}", options, rule.__struct_fields__)
        rules.append(_convert(options, rule, setting))
    return tuple(rules)


def _with_ledger(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules; those that ask the ledger have the options of `not_synced`, but for their own."""
    own = next((rule for rule in rules if isinstance(rule, NotSynced)), NotSynced())
    found: list[Rule] = []
    for rule in rules:
        if isinstance(rule, LedgerRule) and rule.asks_ledger():
            options = {name: getattr(own, name) for name in LedgerRule.__struct_fields__}
            given = {name: getattr(rule, name) for name in options}
            options.update((name, value) for name, value in given.items() if value is not None)
            try:
                found.append(replace(rule, **options))
            except ValueError as problem:
                raise SettingsError(f"Setting rules.{rule.rule}: {problem}.") from None
        else:
            found.append(rule)
    return tuple(found)


def _refuse_unknown(what: str, names: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    near = nearest_name(unknown[0], known)
    if what == "rule" and unknown[0] in _RawSettings.__struct_fields__:
        hint = "; it is a setting of its own, beside `rules`"
    else:
        hint = "" if near is None else f"; did you mean '{near}'?"
    stop = "" if hint.endswith("?") else "."
    raise SettingsError(f"Unknown {what} '{unknown[0]}'{hint}{stop} Known: {', '.join(known)}.")


def _convert(value: Any, into: type[Any], setting: str) -> Any:
    try:
        # Meltano gives the values of variables as text.
        return msgspec.convert(value, into, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_sentence(str(error), setting)) from None


def _sentence(error: str, setting: str) -> str:
    """A sentence about a setting for msgspec's "Expected `int`, got `str` - at `$.minutes`"."""
    what, _, where = error.partition(" - at `$")
    path = re.sub(r"\[\.\.\.\]", "[…]", where.rstrip("`"))
    name = f"{setting}{path}".strip(".")
    what = re.sub(r"Object missing required field `(\w+)`", r"needs `\1`", what)
    wrong = re.fullmatch(r"Invalid enum value '(.*)'", what)
    words = _WORDS.get(name.rpartition(".")[2])
    if wrong and words is not None:
        return f"Setting {name}: {_choice(wrong[1], [word.value for word in words])}"
    return f"Setting {name}: {what[:1].lower()}{what[1:]}."


def _choice(given: str, words: Sequence[str]) -> str:
    near = nearest_name(given, words)
    hint = "." if near is None else f"; did you mean '{near}'?"
    return f"invalid value '{given}'{hint} Known: {', '.join(words)}."


#: The words of each option that takes one of several.
_WORDS: Mapping[str, type[enum.Enum]] = {
    "on_missing_field": OnMissingField,
    "applies_to": AppliesTo,
}


def settings_schema() -> dict[str, Any]:
    """The JSON schema of the settings, for ``--about`` and Meltano."""
    rules = {name: _rule_schema(name, rule) for name, rule in RULES.items()}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "streams": {
                "type": ["array", "null"],
                "items": {"type": "string"},
                "default": ["*"],
                "description": "Streams that hold leads, by name or glob; others pass untouched.",
            },
            "output_stream": {
                "type": ["string", "null"],
                "description": "The name under which the leads go on, such as accounts.",
            },
            "rules": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": rules,
                "description": "Options of each rule; false switches a rule off, true on.",
            },
            "always": {
                "type": ["array", "null"],
                "items": {
                    "anyOf": [
                        {"type": ["string", "number"]},
                        {"type": "array", "items": {"type": ["string", "number"]}},
                    ]
                },
                "default": [],
                "description": "Keys of leads that pass whatever the rules say; a key of several "
                "values has commas between them, or is a list.",
            },
            "verdicts_path": {
                "type": ["string", "null"],
                "default": VERDICTS_PATH,
                "description": "File that gets the verdict on each lead; empty for none.",
            },
            "on_missing_field": {
                "type": ["string", "null"],
                "enum": [*(mode.value for mode in OnMissingField), None],
                "default": OnMissingField.ERROR.value,
                "description": "A rule names a property that the SCHEMA lacks: end the run, or "
                "skip the rule with a warning.",
            },
        },
    }


def _rule_schema(name: str, rule: type[Rule]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([rule])
    options = {key: value for key, value in components[rule.__name__].items() if key != "title"}
    says = str(options.pop("description", rule.__doc__)).strip()
    return {
        "description": f"{says} {'On' if name in ON_BY_DEFAULT else 'Off'} by default.",
        "anyOf": [{"type": ["boolean", "null"]}, options],
    }


CLOCK_VARIABLE = "MAP_APOLLO_LEADS_NOW"
"""Environment variable with a timestamp at which the mapper's clock stops. It is for tests only,
which would otherwise have to wait until a held lead passes."""


@dataclass(frozen=True)
class FixedClock:
    """A clock that always gives the same time."""

    at: datetime

    def __call__(self) -> datetime:
        """The fixed time."""
        return self.at


def clock_from_environment() -> Clock:
    """The machine's clock, or a `FixedClock` at the time in the variable `CLOCK_VARIABLE`.

    Raises:
        SettingsError: The variable holds no timestamp.
    """
    written = os.environ.get(CLOCK_VARIABLE)
    if not written:
        return _machine_time
    at = moment(written)
    if at is None:
        raise SettingsError(
            f"The environment variable {CLOCK_VARIABLE} must be a timestamp such as "
            "2026-01-31T12:00:00Z. It is for tests only: unset it to use the machine's clock."
        )
    return FixedClock(at)


def _machine_time() -> datetime:
    return datetime.now(timezone.utc)
