"""Nothing gets into the page, nothing is asked from outside, and anybody can use it."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.page import rendering
from target_apollo.sandbox.page.choice import NARROWED_BY, View
from tests.helpers.html_reader import Reader
from tests.sandbox.conftest import Client
from tests.sandbox.page.conftest import seen

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</pre></details><svg/onload=alert(1)>",
    "{{ 7 * 7 }}",
    "javascript:alert(1)",
]


def with_text(text: str) -> Sandbox:
    """A sandbox with one text wherever somebody can put one."""
    apollo = Sandbox()
    store = apollo.store
    field = store.add_custom_field("contact", text, "string")
    owner = store.add_user(email="x@x.example", first_name=text)["id"]
    firm = store.add_account(domain="x.example", name=text, owner_id=owner)
    contact = store.add_contact(
        email="ann@x.example",
        first_name=text,
        title=text,
        organization_name=text,
        owner_id=owner,
        account_id=firm["id"],
        label_names=[text],
        typed_custom_fields={field["id"]: text},
    )
    store.sequences.add(text)
    store.sequences.enrol(text, contact["id"])
    store.deals.add(name=text, account_id=firm["id"], contact_ids=[contact["id"]])
    store.tasks.add(note=text, contact_id=contact["id"])
    return apollo


def pages(apollo: Sandbox, text: str) -> list[Reader]:
    contact = next(iter(apollo.store.contact_by_id))
    views = [seen(apollo, show=view.value) for view in View]
    narrowed = [seen(apollo, show="contacts", **{by: text}) for by in NARROWED_BY]
    return [
        *views,
        *narrowed,
        seen(apollo, show="contacts", id=contact),
        seen(apollo, show=text, id=text, part=text),
        seen(apollo, show="contacts", q=text),
    ]


@pytest.fixture(scope="module")
def harmless() -> list[Reader]:
    """What the pages of a harmless text are made of."""
    return pages(with_text("harmless"), "harmless")


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_a_text_is_shown_as_text(text: str, harmless: list[Reader]) -> None:
    shown = pages(with_text(text), text)
    for page, like in zip(shown, harmless, strict=True):
        assert [name for name, _ in page.tags] == [name for name, _ in like.tags]
        assert not [key for _, attributes in page.tags for key in attributes if key[:2] == "on"]
    assert text in shown[1].text


def test_marks_that_turn_the_direction_are_replaced() -> None:
    apollo = with_text("a\u202eb\u2066c\x00d\x1b[2J")
    for view in View:
        query = {"show": view.value, "q": "a\u202e", "run": "\u202e1"}
        page = rendering.page(apollo, {"show": view.value}) + rendering.page(apollo, query)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", page)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from(["show", "q", "part", "id", *NARROWED_BY]), st.text()))
def test_any_address_has_a_page(query: dict[str, str]) -> None:
    apollo = Sandbox()
    apollo.store.add_contact(email="ann@x.example")
    seen(apollo, **query)


def test_what_is_sent_is_text_too(apollo: Sandbox, program: Client) -> None:
    program.call("POST", "/contacts", {"title": HOSTILE[4]})
    program.call("GET", "/labels?q=<script>alert(1)</script>")
    program._session.headers["user-agent"] = HOSTILE[0]
    program.call("GET", "/<script>alert(1)</script>")
    for query in ({}, {"show": "requests", "run": "every"}, *({"id": str(n)} for n in (1, 2, 3))):
        page = seen(apollo, **{"show": "requests", **query})
        assert len(page.named("script")) == 1
        assert not page.named("img")


def test_the_page_refers_to_nothing_outside(apollo: Sandbox, program: Client) -> None:
    program.bulk_create({"email": "ann@x.example", "linkedin_url": "http://www.linkedin.com/in/a"})
    for view in View:
        page = seen(apollo, show=view.value)
        for _, attributes in page.tags:
            assert not attributes.keys() & {"src", "srcset", "style", "xlink:href", "formaction"}
            assert attributes.get("href", "/").startswith(("/", "#"))
        assert [one["method"] for one in page.named("form")] == ["get"] * len(page.named("form"))
    assert not re.search(r"@import|url\(", rendering.page(apollo, {}))


def test_the_policy_allows_the_pages_own_style_and_script_only(apollo: Sandbox) -> None:
    answer = requests.get(apollo.url.removesuffix("/api/v1") + "/", timeout=20)
    policy = answer.headers["content-security-policy"].split("; ")
    for kind in ("style", "script"):
        (text,) = re.findall(f"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert {"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"} <= set(policy)
    assert answer.headers["content-type"].startswith("text/html")


def test_every_address_on_the_page_is_answered(apollo: Sandbox, program: Client) -> None:
    program.get("/users/api_profile")
    contact = {"email": "ann@x.example", "last_name": "Ann"}
    program.bulk_create(contact, append_label_names=["Fair"])
    base = apollo.url.removesuffix("/api/v1")
    known, open_ones = {"/"}, ["/"]
    while open_ones:
        page = Reader(requests.get(base + open_ones.pop(), timeout=20).text)
        assert "Not here" not in page.text
        for address in page.addresses:
            if address.startswith("/") and address not in known:
                known.add(address)
                open_ones.append(address)
    assert 12 < len(known) < 60


def test_tables_inputs_and_views_have_names(apollo: Sandbox) -> None:
    apollo.store.add_contact(email="ann@x.example")
    page = seen(apollo, show="contacts")
    assert page.named("html") == [{"lang": "en"}]
    assert len(page.named("h1")) == 1
    assert all(one.get("scope") in ("col", "row") for one in page.named("th"))
    assert all("aria-label" in one for one in page.named("table"))
    labels = {one["for"] for one in page.named("label")}
    shown = [one for one in page.named("input") if one["type"] != "hidden"]
    assert {one["id"] for one in shown} == labels
    assert [one["href"] for one in page.named("a") if "aria-current" in one] == ["/?show=contacts"]


def test_no_other_page_is_shown_this_one(apollo: Sandbox) -> None:
    address = apollo.url.removesuffix("/api/v1") + "/?show=contacts"
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        assert requests.get(address, headers=headers, timeout=20).status_code == 403
