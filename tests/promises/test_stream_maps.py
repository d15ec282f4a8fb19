"""A wrong expression in `stream_maps` ends the run at the SCHEMA; one bad row costs only itself."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from target_apollo.config.schema import SCHEMA as SETTINGS
from target_apollo.config.settings import SettingsError
from target_apollo.config.stream_maps import stream_maps_problems
from target_apollo.sandbox import Sandbox
from target_apollo.target import TargetApollo
from tests.promises.conftest import CONTACT_SCHEMA, Message, Run, contact, schema, state

SENT = [schema("contacts"), *(contact(number, title="CEO") for number in range(12)), state(12)]


def test_a_name_that_is_not_there_ends_the_run_at_the_schema(sync: Run, apollo: Sandbox) -> None:
    done = sync(SENT, stream_maps={"contacts": {"title": "titel.upper()"}})
    assert (done.exit_code, done.last_state, done.rejects) == (2, None, [])
    assert (
        "The setting 'stream_maps.contacts.title' can't be used for stream 'contacts': in "
        "`titel.upper()`, the stream has no 'titel' (did you mean 'title'?)"
    ) in done.log
    assert apollo.store.contacts() == []


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("nowhere", "the stream has no 'nowhere'"),
        ("title if email else titel", "the stream has no 'titel'"),
        ("self", None),
        ("len(title)", "there is no function 'len' (there are bool, "),
        ("title.uper()", "every row fails"),
        ("title + 1", "every row fails"),
        ("-title", "every row fails"),
        ("title()", "there is no function 'title'"),
        ("datetime.now()", "every row fails"),
        ("(lambda: 1)()", "Lambda is nothing that stream maps can do"),
        ("title.__class__", "every row fails"),
        ("[*title]", "Starred is nothing that stream maps can do"),
        ("config['x'].nowhere", None),
        ("fake.name()", "the stream has no 'fake'"),
    ],
)
def test_an_expression_that_can_work_on_no_row_is_a_wrong_setting(
    expression: str, why: str | None
) -> None:
    problems = problems_of({"contacts": {"title": expression}})
    assert [why in problem for problem in problems] == ([] if why is None else [True])


@pytest.mark.parametrize(
    "expression",
    [
        "title",
        "title + '!'",
        "title.upper() if title else None",
        "_['title']",
        "record.get('title')",
        "record['title'].strip()",
        "__stream_name__",
        "__original_stream_name__ + str(id)",
        "config.get('suffix', '')",
        "md5(email)",
        "sha256(str(id))",
        "json.dumps(label_names)",
        "json.loads(title)['a']['b'] + 1",
        "datetime.datetime.strptime(title, '%Y').isoformat()",
        "int(title) + 1",
        "label_names[0]",
        "','.join([one for one in label_names])",
        "f'{first_name} {last_name}'",
        "1 / int(title)",
        "_sdc_deleted_at",
        "any_value + 1",
        "any_value['a']['b'].c * 2",
        "any_value.items()",
        "place['city']['name'].upper()",
        "places[0]['city']['zip'] + 1",
        "number * number",
        "title or 5",
        "not title",
        "title[:3]",
    ],
)
def test_an_expression_that_works_on_some_rows_is_let_alone(expression: str) -> None:
    assert problems_of({"contacts": {"title": expression}}) == []
    assert problems_of({"contacts": {"__filter__": expression}}) == []


def problems_of(maps: Message) -> list[str]:
    """What a target says of stream maps when a SCHEMA of contacts comes."""
    more = {
        "any_value": {},
        "place": {"type": "object"},
        "places": {"type": ["array", "null"]},
        "number": {"type": ["number", "null"]},
    }
    sent = schema("contacts", {"properties": {**CONTACT_SCHEMA["properties"], **more}})
    target = TargetApollo(
        config={"api_key": "key", "api_url": "http://127.0.0.1:1/api/v1", "stream_maps": maps}
    )
    try:
        target._on_schema(sent)
    except SettingsError as wrong:
        return wrong.problems
    return []


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"__filter__": "emial != ''"}, "'stream_maps.contacts.__filter__' can't be used"),
        ({"__filter__": "title + 1"}, "'stream_maps.contacts.__filter__' can't be used"),
        ({"__key_properties__": ["nowhere"]}, "Property 'nowhere' was not detected"),
        ({"__alias__": "5"}, "'stream_maps.contacts.__alias__' gives no name"),
        ({"__alias__": "'contacts' + 5"}, "'stream_maps' can't be applied to stream 'contacts'"),
    ],
)
def test_an_option_that_can_t_be_used_names_itself(members: Message, sentence: str) -> None:
    assert sentence in "".join(problems_of({"contacts": members}))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"title": "((("}, "'stream_maps.contacts.title' is no expression: `(((`"),
        ({"title": ""}, "'stream_maps.contacts.title' is no expression"),
        ({"title": "import os"}, "'stream_maps.contacts.title' is no expression"),
        ({"title": "x = 1"}, "'stream_maps.contacts.title' is no expression"),
        ({"title": "email; title"}, "'stream_maps.contacts.title' is no expression"),
        ({"__filter__": True}, "'stream_maps.contacts.__filter__' must be an expression"),
        ({"__filter__": "("}, "'stream_maps.contacts.__filter__' is no expression"),
        ({"__key_properties__": "id"}, "__key_properties__' must be a list of properties"),
        ({"__key_properties__": [5]}, "__key_properties__' must be a list of properties"),
        ({"__alias__": 5}, "'stream_maps.contacts.__alias__' must be the name of a stream"),
        ({"__alias__": None}, "'stream_maps.contacts.__alias__' must be the name of a stream"),
        ({"__source__": ["a"]}, "'stream_maps.contacts.__source__' must be the name of a stream"),
        ({"__else__": "title"}, "'stream_maps.contacts.__else__' must be null"),
        ({"__filters__": "title"}, "'stream_maps.contacts.__filters__' is no option"),
    ],
)
def test_an_option_of_a_wrong_type_is_one_sentence(members: Any, sentence: str) -> None:
    (found,) = stream_maps_problems({"contacts": members})
    assert sentence in found


@pytest.mark.parametrize(
    ("expression", "row", "cause"),
    [
        ("first_name + '!'", {"first_name": None}, "'first_name' is null"),
        ("last_name.upper()", {"last_name": None}, "'last_name' is null"),
        ("self + '!'", {"title": None}, "'title' is null"),
        ("_['last_name'] + '!'", {"last_name": None}, "'last_name' is null"),
        ("mobile_phone", {}, "the row has no 'mobile_phone'"),
        ("int(first_name)", {"first_name": "s3cret"}, "a value can't be read"),
        ("1 / int(first_name)", {"first_name": "0"}, "it divides by zero"),
        ("label_names[3]", {"label_names": ["s3cret"]}, "a value lacks a part"),
    ],
)
def test_a_reject_of_a_stream_map_names_property_and_cause_and_no_value(
    sync: Run, expression: str, row: Message, cause: str
) -> None:
    defaults = {"first_name": "7", "last_name": "L", "mobile_phone": "+1", "title": "T"}
    good = contact(1, **defaults, label_names=["a", "b", "c", "d"])
    bad = contact(2, **{"title": "T", **row})
    done = sync(
        [schema("contacts"), good, bad, state(2)],
        stream_maps={"contacts": {"title": f"str({expression})"}},
    )
    assert (done.reasons, done.last_state) == (["stream_map"], 2)
    detail = done.rejects[0]["record"]["_reject"]["detail"]
    assert detail == f"stream_maps can't compute 'title': {cause}"
    assert "s3cret" not in done.log


def test_a_filter_that_fails_on_a_row_says_so(sync: Run) -> None:
    done = sync(
        [schema("contacts"), contact(1, title="T"), contact(2, title=None), state(2)],
        stream_maps={"contacts": {"__filter__": "title + '' != 'X'"}},
    )
    assert done.reasons == ["stream_map"]
    detail = done.rejects[0]["record"]["_reject"]["detail"]
    assert detail == "stream_maps can't compute '__filter__': 'title' is null"


def test_what_an_expression_computes_is_not_checked_by_a_rule_of_another_value(sync: Run) -> None:
    properties = {**CONTACT_SCHEMA["properties"], "n": {"type": "integer"}}
    done = sync(
        [schema("contacts", {"properties": properties}), contact(1, n=4930123456), state(1)],
        stream_maps={"contacts": {"phone_number": "'+' + str(n)", "n": None, "number": "n"}},
    )
    assert (done.exit_code, done.rejects) == (0, [])


@pytest.mark.full
def test_a_wrong_expression_ends_the_process_with_a_sentence(run_target: Run) -> None:
    done = run_target(SENT, stream_maps={"contacts": {"title": "titel"}})
    assert (done.exit_code, done.states, done.rejects) == (2, [], [])
    assert "'stream_maps.contacts.title'" in done.log
    assert "Traceback" not in done.log


def test_the_setting_for_faker_is_offered_only_where_faker_is_there() -> None:
    assert ("faker_config" in SETTINGS["properties"]) == (find_spec("faker") is not None)
