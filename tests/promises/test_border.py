"""Apollo's answers are judged at the door: one altered answer loses, doubles and spoils nothing.

In each case one thing is altered in the answers of one endpoint: a member of the JSON, the body,
the status, a header or the bytes. The law is in `tests/helpers/border.py`. The long form, with new
cases each time, is ``python -m tests.helpers.border_sweep``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from target_apollo.apollo import endpoints
from tests.helpers.altered_answers import SLOW, WHOLE, Alteration, Reply, members
from tests.helpers.altering_server import AlteringServer
from tests.helpers.border import Border, Case
from tests.helpers.border_commands import COMMANDS, TOKENS, Command, CommandBorder
from tests.helpers.border_objects import OBJECT_SCENES, ObjectScene
from tests.helpers.border_runs import shown_in
from tests.helpers.border_scenes import SCENES, Scene
from tests.helpers.border_sweep import (
    Answers,
    alterations_of,
    altering_server,
    mixed_sample,
    read_members,
    recorded,
)
from tests.helpers.databases import shared_server
from tests.helpers.tiers import mostly_chaos
from tests.ledger.conftest import own_schema

CREATE = "POST /contacts/bulk_create"
PATCH = "PATCH /contacts/{id}"
CREATED, EXISTING = ("created_contacts", 0), ("existing_contacts", 0)
#: One of each kind, for all tiers of the tests.
FEW = [
    Alteration(CREATE, "empty", (*CREATED, "id")),
    Alteration(CREATE, "a path", (*EXISTING, "id")),
    Alteration(CREATE, "without its first", CREATED[:1]),
    Alteration(CREATE, "body half"),
    Alteration(CREATE, "a header without a colon"),
    Alteration(PATCH, "somebody else's", ("contact", "email")),
    Alteration("GET /users/api_profile", "status 299"),
]
#: What altered answers about deals, tasks and sequences once did: a second record, a defect.
OF_OBJECTS = [
    Case(
        ObjectScene("deals", before=True, is_ledger_lost=True),
        Alteration(endpoints.SEARCH_DEALS, "absent", ("opportunities", 0, "typed_custom_fields")),
    ),
    Case(
        ObjectScene("tasks", before=True, is_ledger_lost=True),
        Alteration(endpoints.SEARCH_TASKS, "without its first", ("tasks",)),
    ),
    Case(
        ObjectScene("sequence_members", mode="insert"),
        Alteration(endpoints.ADD_TO_SEQUENCE, "a list", ("contacts", 0, "contact_stage_id")),
    ),
]
MORE_OF_OBJECTS = [
    Case(
        ObjectScene("deals", before=True, gone=True),
        Alteration(endpoints.UPDATE_DEAL, "status 404"),
        goes_on=True,
    ),
    Case(
        ObjectScene("tasks", before=True, gone=True),
        Alteration(endpoints.READ_TASK, "very long", ("task", "creator_id")),
        once=True,
    ),
    Case(
        ObjectScene("tasks", before=True, gone=True),
        Alteration(endpoints.UPDATE_TASK, "null", ("task", "status")),
        once=True,
    ),
    Case(
        ObjectScene("tasks", before=True, is_ledger_lost=True),
        Alteration(endpoints.SEARCH_TASKS, "below zero", ("pagination", "total_pages")),
        once=True,
    ),
    Case(
        ObjectScene("sequence_members", mode="mirror", before=True),
        Alteration(endpoints.LEAVE_SEQUENCES, "a list", ("contacts",)),
        goes_on=True,
    ),
]
SEEDS = range(3)
CASES_OF_A_SEED = 15
CASES_OF_OBJECTS = 12


@pytest.fixture(scope="module")
def server() -> Iterator[AlteringServer]:
    with altering_server() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("border")


@pytest.fixture(scope="module")
def border(server: AlteringServer, folder: Path) -> Border:
    return Border(server, folder)


@pytest.fixture(scope="module")
def answers(border: Border) -> Answers:
    """The answers of each scene, which holds to the law without alterations."""
    return recorded(border, SCENES)


@pytest.fixture(scope="module")
def of_objects(border: Border) -> Answers:
    """The same for deals, tasks and sequences."""
    return recorded(border, OBJECT_SCENES)


@pytest.mark.parametrize("alteration", FEW, ids=str)
def test_an_altered_answer_spoils_nothing(border: Border, alteration: Alteration) -> None:
    case = Case(Scene(), alteration, goes_on=True)

    assert border.play(case) == []
    assert border.touched > 0


@pytest.mark.xfail(
    strict=True,
    reason="Nothing in the answer contradicts it: only one more request for each new record would "
    "tell, before its phone or its stage is written.",
)
@pytest.mark.full
@pytest.mark.parametrize("path", [CREATED, EXISTING], ids=["created", "existing"])
def test_a_strangers_id_beside_a_rows_address_writes_over_nobody(
    border: Border, path: tuple[str, int]
) -> None:
    assert border.play(Case(Scene(), Alteration(CREATE, "somebody else's", (*path, "id")))) == []


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(SEEDS))
def test_many_altered_answers_spoil_nothing(border: Border, answers: Answers, seed: int) -> None:
    cases = mixed_sample(answers, seed, CASES_OF_A_SEED)

    assert {str(case): problems for case in cases if (problems := border.play(case))} == {}


@pytest.mark.parametrize(
    "case",
    [*OF_OBJECTS, *(pytest.param(one, marks=pytest.mark.full) for one in MORE_OF_OBJECTS)],
    ids=str,
)
def test_an_altered_answer_about_deals_tasks_or_sequences_spoils_nothing(
    border: Border, case: Case
) -> None:
    assert border.play(case) == []
    assert border.touched > 0


@pytest.mark.full
@pytest.mark.parametrize("seed", mostly_chaos(SEEDS))
def test_many_altered_answers_about_objects_spoil_nothing(
    border: Border, of_objects: Answers, seed: int
) -> None:
    cases = mixed_sample(of_objects, seed, CASES_OF_OBJECTS)

    assert {str(case): problems for case in cases if (problems := border.play(case))} == {}


@pytest.mark.full
def test_altered_answers_spoil_no_ledger_in_postgresql(
    server: AlteringServer, folder: Path, answers: Answers
) -> None:
    scenes = [one for one in SCENES if one.ledger == "sqlite" and one.before]
    cases = mixed_sample({one: answers[one] for one in scenes}, 100, 8)

    found = {}
    for case in cases:
        with own_schema(shared_server().url) as url:
            border = Border(server, folder / f"schema-{len(found)}", postgresql=url)
            scene = replace(case.scene, ledger="postgresql")
            found[str(case)] = border.play(replace(case, scene=scene))

    assert {name: problems for name, problems in found.items() if problems} == {}


@pytest.mark.full
@pytest.mark.parametrize("kind", SLOW)
def test_an_answer_without_an_end_holds_no_run(border: Border, kind: str) -> None:
    assert border.play(Case(Scene(), Alteration(CREATE, kind))) == []


# --- commands


@pytest.mark.full
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_ends_with_a_sentence_whatever_is_answered(
    server: AlteringServer, tmp_path: Path, command: Command
) -> None:
    border = CommandBorder(server, tmp_path)
    chance = random.Random(command.name)
    found = alterations_of(border.recorded(command))
    read = sorted((one for one in found if one.member in read_members()), key=str)
    whole = sorted((one for one in found if one.path is None), key=str)
    of_tokens = [one for one in read if one.endpoint == TOKENS] or read
    cases = [
        one
        for some, count in ((read, 6), (whole, 3), (of_tokens, 3))
        for one in chance.sample(some, min(count, len(some)))
    ]
    assert cases

    broken = {str(one): problems for one in cases if (problems := border.play(command, one))}

    assert broken == {}


# --- the border itself


@pytest.mark.full
def test_the_answers_of_every_endpoint_are_altered(
    server: AlteringServer, tmp_path: Path, answers: Answers, of_objects: Answers
) -> None:
    commands = CommandBorder(server, tmp_path)
    asked = {label for found in (*answers.values(), *of_objects.values()) for label in found}
    asked |= {label for command in COMMANDS for label in commands.recorded(command)}

    # The first is asked once another answer was lost, the last where PATCH is not taken; only a
    # probe asks for the second.
    left = {endpoints.HEALTH, endpoints.UPDATE_ACCOUNT_OWNERS, endpoints.PUT_ACCOUNT}
    assert {*endpoints.ENDPOINTS, TOKENS} - asked == left


def test_an_altered_answer_differs_in_one_thing() -> None:
    reply = Reply(200, b'{"contact": {"id": "a", "email": "b"}}')

    altered = Alteration(PATCH, "null", ("contact", "id")).of(reply, {})

    assert altered is not None
    assert json.loads(altered.body) == {"contact": {"id": None, "email": "b"}}
    assert replace(altered, body=reply.body) == reply


def test_all_members_of_an_answer_are_found() -> None:
    found = list(members({"contacts": [{"id": "a", "account": {"id": "b"}}, {"id": "c"}]}))

    assert ("contacts", 0, "account", "id") in found
    assert ("contacts",) in found
    assert () in found


def test_each_alteration_of_a_whole_answer_is_one() -> None:
    reply = Reply(200, b'{"contacts": [{"id": "a"}]}', (("x-minute-requests-left", "5"),))

    same = [kind for kind in WHOLE if Alteration(CREATE, kind).of(reply, {}) == reply]

    assert same == []


def test_the_law_sees_what_a_log_may_not_show() -> None:
    assert shown_in("The contact 5f is there.") == []
    assert shown_in("ann@a.com") != []
    assert shown_in("a\x1b[2J") != []
