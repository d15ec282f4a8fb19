"""The mapper's settings: read from a config into typed values, and described as a JSON schema."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from target_apollo.config.paths import NamedFile, ledger_file
from target_apollo.config.typed_values import with_types
from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.rules import ON_BY_DEFAULT, RULES, Rule
from target_apollo.mapper.rules.owner import OwnerMapped
from target_apollo.mapper.rules.synced import NotSynced
from target_apollo.mapper.verdicts import EARLIER

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
        verdicts_path: Path of the verdict file; None writes none.
        on_missing_field: See `OnMissingField`.
    """

    streams: tuple[str, ...] = ("*",)
    output_stream: str | None = None
    rules: tuple[Rule, ...] = ()
    verdicts_path: str | None = VERDICTS_PATH
    on_missing_field: OnMissingField = OnMissingField.ERROR

    def matches(self, stream: str) -> bool:
        """Whether a stream holds leads."""
        return any(fnmatchcase(stream, pattern) for pattern in self.streams)


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """The settings as the config has them, with rules that are not checked yet."""

    streams: tuple[str, ...] = ("*",)
    output_stream: str | None = None
    rules: dict[str, Any] = msgspec.field(default_factory=dict)
    verdicts_path: str | None = VERDICTS_PATH
    on_missing_field: OnMissingField = OnMissingField.ERROR


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Read and check a config.

    Raises:
        SettingsError: A setting or rule is unknown, of the wrong type, or makes no sense.
    """
    given = with_types(config, settings_schema())
    _refuse_unknown("setting", given, _Written.__struct_fields__)
    written = _convert(given, _Written, "")
    if not written.streams:
        raise SettingsError("Setting streams is empty: name the streams that hold leads.")
    return Settings(
        streams=written.streams,
        output_stream=written.output_stream or None,
        rules=_rules(written.rules),
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
    for rule in settings.rules:
        if isinstance(rule, OwnerMapped) and rule.map_path:
            files.append(NamedFile("the setting rules.owner_mapped.map_path", Path(rule.map_path)))
        if isinstance(rule, NotSynced):
            setting = "the setting rules.not_synced.ledger_url"
            files += ledger_file(rule.ledger_url, named_by=setting, is_written=False)
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


def _refuse_unknown(what: str, names: Collection[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(f"Unknown {what} '{unknown[0]}'. Known: {', '.join(known)}.")


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
    return f"Setting {name}: {what[:1].lower()}{what[1:]}."


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
