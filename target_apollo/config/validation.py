"""What is wrong with settings, a sentence for each fault, and the defaults. Pure.

It takes the place of the SDK's check, which lets unknown settings pass and shows values, even
secrets.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from target_apollo.apollo import check_api_url
from target_apollo.config.schema import AUTO, AUTO_OR_NUMBER, MOST_PARALLEL
from target_apollo.config.settings import OnDelete
from target_apollo.config.stream_maps import stream_maps_problems
from target_apollo.config.typed_values import not_finite
from target_apollo.model.match_keys import match_on_problems
from target_apollo.model.policies import FieldPolicy, policy_problems
from target_apollo.model.texts.domains import allowed_hosts

_OAUTH = ("client_id", "client_secret", "refresh_token")


def problems_of(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """A sentence for every setting that is unknown, of the wrong type or out of range.

    The sentences never show a value, since a secret may be in the wrong setting.
    """
    problems = [
        _unknown(name, schema["properties"]) for name in config if name not in schema["properties"]
    ]
    # The SDK's schema of stream maps does not know "__else__", and its errors fill pages.
    properties = {name: of for name, of in schema["properties"].items() if name != "stream_maps"}
    relaxed = {key: value for key, value in schema.items() if key != "additionalProperties"}
    relaxed["properties"] = properties
    problems += stream_maps_problems(config.get("stream_maps"))
    problems += [_sentence(error) for error in Draft202012Validator(relaxed).iter_errors(config)]
    problems += [
        f"The setting '{name}' must be a number."
        for name, value in config.items()
        if name in properties and not_finite(value)
    ]
    problems += _quota_problems(config)
    problems += _refusal(check_api_url, config.get("api_url"))
    problems += _refusal(OnDelete.of, config.get("on_delete"))
    problems += _match_on_problems(config)
    hosts = config.get("allow_domains")
    if isinstance(hosts, list) and all(isinstance(host, str) for host in hosts):
        try:
            allowed_hosts(hosts)
        except ValueError as problem:
            problems.append(f"A setting is wrong: {problem}.")
    if not problems and isinstance(config.get("field_policy"), dict):
        named = {name: FieldPolicy(policy) for name, policy in config["field_policy"].items()}
        problems += policy_problems(named)
    return problems + credential_problems(config)


def _refusal(read: Callable[[str], object], value: object) -> list[str]:
    """The sentence with which `read` refuses a text; none where it takes it."""
    if isinstance(value, str):
        try:
            read(value)
        except ValueError as problem:
            return [str(problem)]
    return []


def credential_problems(config: Mapping[str, Any]) -> list[str]:
    """Sentences for a config with no credentials, both kinds of them, or incomplete ones.

    An empty setting counts as missing, since environment variables that are not filled in are
    empty. A missing refresh token is no problem here: the token file may have one.
    """
    problems = []
    oauth = [name for name in _OAUTH if config.get(name)]
    if config.get("api_key"):
        if oauth:
            problems.append(
                f"The settings api_key and {', '.join(oauth)} exclude each other: give the key, or "
                "client_id, client_secret and refresh_token for OAuth 2.0."
            )
    elif not oauth:
        problems.append(
            "The setting 'api_key' is missing: give it, or client_id, client_secret and "
            "refresh_token for OAuth 2.0."
        )
    else:
        problems += [
            f"The setting '{name}' is missing: {oauth[0]} is given, and OAuth 2.0 needs client_id "
            "and client_secret."
            for name in ("client_id", "client_secret")
            if name not in oauth
        ]
    check_url = partial(check_api_url, setting="oauth_token_url")
    return problems + _refusal(check_url, config.get("oauth_token_url"))


def with_defaults(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A config with the schema's defaults for the settings that it lacks."""
    defaults = {
        name: setting["default"]
        for name, setting in schema["properties"].items()
        if "default" in setting and config.get(name) is None
    }
    return {**config, **defaults}


def _quota_problems(config: Mapping[str, Any]) -> list[str]:
    """A sentence where the two settings for the part of the quota contradict each other."""
    share, percent = config.get("quota_share", 1), config.get("quota_percent", 100)
    if not all(isinstance(one, (int, float)) for one in (share, percent)):
        return []
    if share >= 1 or percent >= 100 or math.isclose(share * 100, percent):
        return []
    return [
        "The settings 'quota_share' and 'quota_percent' contradict each other: give one of them, "
        "such as quota_percent: 70."
    ]


def _match_on_problems(config: Mapping[str, Any]) -> list[str]:
    streams = config.get("streams")
    settings = {"match_on": config.get("match_on")}
    for stream, own in streams.items() if isinstance(streams, dict) else ():
        if isinstance(own, dict):
            settings[f"streams.{stream}.match_on"] = own.get("match_on")
    problems: list[str] = []
    for setting, names in settings.items():
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            problems += match_on_problems(setting, names)
            if not names:
                problems.append(
                    f"The setting '{setting}' names no key: leave it out for the default."
                )
    return problems


def _unknown(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    hint = f"did you mean '{near[0]}'?" if near else "see --about for those there are."
    return f"There is no setting '{name}': {hint}"


def _sentence(error: ValidationError) -> str:
    where = ".".join(str(step) for step in error.absolute_path)
    # jsonschema types them as "anything or unset"; they are set in an error.
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
        "pattern": (
            f"must be '{AUTO}' or a whole number from 1 to {MOST_PARALLEL}"
            if value == AUTO_OR_NUMBER
            else "must be an object, true or false"
        ),
    }.get(str(error.validator), f"breaks the rule {error.validator}: {value}")
    return f"The setting '{where}' {rule}."


def _either(values: object) -> str:
    if not isinstance(values, list):
        return str(values)
    return " or ".join(str(value) for value in values if value not in (None, "null"))
