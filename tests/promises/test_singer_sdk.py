"""The Singer SDK's own tests for targets, against the sandbox.

The SDK's streams know no e-mail address, so stream maps give each row one: what arrives in the
sandbox is then looked at after each test, which the SDK's tests themselves do not do.

Left out by the SDK itself, with what stands in for it here:

* ``multiple_state_messages``: it compares objects with texts and passes with no target; STATE is
  covered by test_state.py.
* ``record_missing_required_property``: not in the suite; covered in test_bad_input.py.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.testing import SuiteConfig, TargetTestRunner, get_target_test_class

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.target.target import TargetApollo
from tests.helpers.new_sandbox import new_sandbox

SETTINGS: dict[str, Any] = {
    "api_key": "sandbox",
    "api_url": "http://127.0.0.1:1/api/v1",
    "streams": {"*": {"object": "contacts"}},
    # The SDK's tests for bad records want its own exceptions.
    "on_record_error": "fail",
    "ledger_url": "",
    "stream_maps": {
        "test_array_data": {"email": "str(id) + '@fruit.com'", "label_names": "fruits"},
        "ForecastingTypeToCategory": {"email": "Id + '@forecast.com'"},
        "TestCamelcase": {"email": "Id + '@camel.com'", "title": "clientName"},
        "test_duplicate_records": {"email": "str(id) + '@twice.com'", "title": "str(metric)"},
        "test_strings": {"email": "str(id) + '@text.com'", "title": "info"},
        "test_strings_in_objects": {"email": "str(id) + '@object.com'", "title": "info['value']"},
        "test_strings_in_arrays": {"email": "str(id) + '@array.com'", "label_names": "strings"},
        "test_no_pk": {"email": "str(id) + '@nokey.com'", "title": "str(metric)"},
        "test_optional_attributes": {"email": "str(id) + '@optional.com'"},
        "record_missing_fields": {"email": "str(id) + '@missing.com'"},
        "test_object_schema_with_properties": {
            "email": "str(object_store['id']) + '@with.com'",
            "title": "str(object_store['metric'])",
        },
        "test_object_schema_no_properties": {
            "email": "str(object_store['id']) + '@without.com'",
            "title": "str(object_store['metric'])",
        },
        "test_schema_updates": {"email": "str(id) + '@wider.com'", "title": "a2"},
        "test:SpecialChars!in?attributes": {
            "email": "_id + '@special.com'",
            "title": "d['agent:type']",
        },
    },
}

#: E-mail -> title of the contacts that a test leaves behind.
EXPECTED: dict[str, dict[str, str | None]] = {
    "array_data": {f"{n}@fruit.com": None for n in range(1, 5)},
    "camelcase": {"1@camel.com": "Gitter Windows Desktop App", "2@camel.com": "Gitter iOS App"},
    "duplicate_records": {"1@twice.com": "100", "2@twice.com": "20"},
    "no_primary_keys": {f"{n}@nokey.com": str(11 * n) for n in range(1, 4)},
    "optional_attributes": {f"{n}@optional.com": None for n in range(1, 5)},
    "record_missing_fields": {"1@missing.com": None, "2@missing.com": None},
    "schema_no_properties": {
        "1@with.com": "187",
        "2@with.com": "203",
        "1@without.com": "1",
        "2@without.com": "2",
    },
    "schema_updates": {f"{n}@wider.com": f"string{n}" for n in range(1, 7)},
    # From SDK 0.55 on.
    "string_formats": {"test@example.com": None},
    "special_chars_in_attributes": {"a2e98886@special.com": "desktop"},
    "pk_updates": {"alice@example.com": None, "bob@example.com": None},
    # These end in the exception that the SDK wants, or write nothing.
    "camelcase_complex_schema": {},
    "cli_prints": {},
    "invalid_schema": {},
    "record_before_schema": {},
    "record_missing_key_property": {},
}
_TEXTS = {
    "1@text.com": "simple string 2837",
    "2@text.com": "απλή συμβολοσειρά",
    "3@text.com": "简单的字串",
    "5@text.com": 'quoted "string"',
    "6@text.com": 'various " \\ / \n escape sequences',
    "10@text.com": "Double quoting: \\u0000 \\u0041 \\u0001",
    # Control characters are taken out: they break what reads a CRM's export.
    "11@text.com": "Control Characters in string:  A",
    "11@object.com": "A",
}

Standard = get_target_test_class(TargetApollo, config=SETTINGS, parse_env_config=False)


class TestTargetApollo(Standard):  # type: ignore[misc, valid-type]
    """Every standard test of the SDK, with a look at what arrived."""

    @pytest.fixture
    def resource(self) -> Iterator[Sandbox]:
        with new_sandbox(SandboxOptions(strict=True)) as sandbox:
            yield sandbox

    @pytest.fixture
    def runner(
        self, resource: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[TargetTestRunner]:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        monkeypatch.chdir(tmp_path)
        yield TargetTestRunner(
            TargetApollo,
            config={**SETTINGS, "api_url": resource.url},
            suite_config=SuiteConfig(),
            parse_env_config=False,
        )
        for number, handler in handlers.items():
            signal.signal(number, handler)

    @pytest.fixture(autouse=True)
    def look_at_what_arrived(
        self, request: pytest.FixtureRequest, resource: Sandbox
    ) -> Iterator[None]:
        yield
        name = request.node.name.removeprefix("test_target_")
        arrived = {str(c["email"]): c["title"] for c in resource.store.contacts()}
        if name == "encoded_string_data":
            assert len(arrived) == 28
            assert {email: arrived[email] for email in _TEXTS} == _TEXTS
        else:
            assert arrived == EXPECTED[name]
