"""The sandbox's page in a real browser, at the widths of a phone, a tablet and a desk."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.page import rendering
from target_apollo.sandbox.page.choice import View
from tests.helpers.browser import FOUND, MISSING, Browser
from tests.sandbox.conftest import Client

pytestmark = [pytest.mark.full, pytest.mark.skipif(FOUND is None, reason=MISSING)]

HOSTILE = "<script>document.body.textContent='taken'</script>" + "x" * 100


@pytest.fixture
def full(apollo: Sandbox, program: Client) -> Sandbox:
    """A sandbox with everything that the page can show, in long and hostile texts."""
    program.get("/users/api_profile")
    store = apollo.store
    field = store.add_custom_field("contact", HOSTILE, "string")
    firm = store.add_account(domain=f"{'x' * 60}.example", name=HOSTILE, label_names=[HOSTILE])
    program.bulk_create(
        *(
            {
                "email": f"p{n}@{'y' * 60}.example",
                "last_name": HOSTILE if n % 2 else f"Nr{n}",
                "title": HOSTILE,
                "account_id": firm["id"],
                "typed_custom_fields": {field["id"]: HOSTILE},
            }
            for n in range(60)
        ),
        append_label_names=["Fair", "W" * 120],
    )
    program.call("PATCH", "/contacts/none", {"title": HOSTILE})
    contact = store.contacts(1)[0]["id"]
    store.sequences.add(HOSTILE)
    store.sequences.enrol(HOSTILE, contact)
    store.deals.add(name=HOSTILE, amount=10**12, contact_ids=[contact])
    store.tasks.add(title=HOSTILE, contact_id=contact)
    apollo.set_options(minute_limit=3)
    return apollo


def all_views(apollo: Sandbox) -> dict[str, dict[str, str]]:
    contact = apollo.store.contacts(1)[0]["id"] if apollo.store.contact_by_id else "none"
    return {
        **{view.value: {"show": view.value} for view in View},
        "one": {"show": "contacts", "id": contact},
        "request": {"show": "requests", "id": "2"},
    }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_view_fits_every_width_and_can_be_read(
    full: Sandbox, tmp_path: Path, dark: bool
) -> None:
    browser = Browser(tmp_path)
    for name, query in all_views(full).items():
        path = tmp_path / f"{name}.html"
        path.write_text(rendering.page(full, query))
        for one in browser.measured(path, dark=dark):
            where = (name, one["width"])
            assert one["dark"] is dark
            assert one["needed"] <= one["width"], where
            assert one["beyond"] == [], where
            assert one["worst"]["text"][0] >= 4.5, (where, one["worst"]["text"])
            assert one["worst"]["bars"][0] >= 3, (where, one["worst"]["bars"])
            assert one["smallest"] >= 11, where


def test_an_empty_sandbox_fits_too(apollo: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text(rendering.page(apollo, {}))
    assert all(one["needed"] <= one["width"] for one in Browser(tmp_path).measured(path))


def test_the_browser_has_nothing_to_complain_of(full: Sandbox, tmp_path: Path) -> None:
    base = full.url.removesuffix("/api/v1")
    assert Browser(tmp_path).console(f"{base}/?show=contacts") == []


def test_an_app_that_asks_for_access_is_shown_with_what_it_wants(
    apollo: Sandbox, tmp_path: Path
) -> None:
    base = apollo.url.removesuffix("/api/v1")
    asked = f"{base}/#/oauth/authorize?client_id=x&scope=contacts_search"
    shown, plain = (Browser(tmp_path).document(one) for one in (asked, base + "/"))
    assert '<span id="scope">contacts_search</span>' in shown
    assert 'id="consent" hidden' in plain
    assert 'id="consent" hidden' not in shown
