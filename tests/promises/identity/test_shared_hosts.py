"""A page on a host that many companies share is no company's own domain."""

from __future__ import annotations

import pytest

from tests.helpers.worlds import World, details, one_fast
from tests.promises.conftest import ACCOUNT_SCHEMA, CONTACT_SCHEMA, Message, record, schema
from tests.promises.identity.people import person

#: What rows have as domain, and the host that an account in Apollo has.
PAGES = {
    "https://www.facebook.com/corner.cafe": "facebook.com",
    "linkedin.com/company/acme": "linkedin.com",
    "linktr.ee/foo": "linktr.ee",
    "https://m.facebook.com/corner.cafe?ref=1": "facebook.com",
    "https://www.instagram.com/corner.cafe/": "instagram.com",
    "https://x.com/cornercafe": "x.com",
    "https://twitter.com/cornercafe": "twitter.com",
    "https://www.youtube.com/@cornercafe": "youtube.com",
    "https://wa.me/491511234567": "wa.me",
    "https://t.me/cornercafe": "t.me",
    "https://www.tiktok.com/@cornercafe": "tiktok.com",
    "https://www.etsy.com/shop/cornercafe": "etsy.com",
    "https://www.amazon.de/stores/cornercafe": "amazon.de",
    "https://sites.google.com/view/cornercafe": "sites.google.com",
    "https://docs.google.com/document/d/1": "docs.google.com",
    "https://www.dropbox.com/s/1": "dropbox.com",
    "https://bit.ly/3xyz": "bit.ly",
    "https://github.com/cornercafe": "github.com",
    "https://myshopify.com": "myshopify.com",
    "https://github.io": "github.io",
    "https://wixsite.com": "wixsite.com",
}
FEW = dict(list(PAGES.items())[:3])
OWN = [
    "corner-cafe.myshopify.com",
    "cornercafe.github.io",
    "corner.wixsite.com",
    "corner.example.com",
]


def accounts(domains: list[str]) -> list[Message]:
    rows = [
        record("accounts", id=n, domain=domain, name=f"Corner Cafe {n}")
        for n, domain in enumerate(domains)
    ]
    return [schema("accounts"), *rows]


@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
@pytest.mark.parametrize(
    "pages", [pytest.param(FEW, id="few"), pytest.param(PAGES, id="all", marks=pytest.mark.full)]
)
def test_a_shared_host_is_rejected_and_the_account_of_its_owner_stays(
    any_world: World, mode: str, pages: dict[str, str]
) -> None:
    for number, host in enumerate(sorted(set(pages.values()))):
        any_world.apollo.store.add_account(domain=host, name=f"Owner {number} of the service")
    before = any_world.records()
    rows = accounts(list(pages))

    done = any_world.run(rows, mode=mode)

    assert done.reasons == ["shared_domain"] * len(pages), done.log
    assert all("allow_domains" in detail for detail in details(done))
    assert (any_world.records(), any_world.written()) == (before, {})
    any_world.stays(rows, mode=mode)


@pytest.mark.full
def test_a_known_account_is_not_given_a_shared_host(world: World) -> None:
    world.run(accounts(["corner.example.com"]))
    before = world.records()

    for mode in ("upsert", "update"):
        done = world.run(accounts(["https://www.facebook.com/corner.cafe"]), mode=mode)

        # The second run has the same row, and keeps no second copy of it.
        assert done.reasons == (["shared_domain"] if mode == "upsert" else []), done.log
        assert (done.records["rejected"], world.records()) == (1, before), done.log


@pytest.mark.full
def test_a_companys_own_host_under_a_shared_one_is_its_domain(any_world: World) -> None:
    done = any_world.run(accounts(OWN))

    assert done.records == {"received": len(OWN), "created": len(OWN)}, done.log
    assert [domain for domain, _ in any_world.firms()] == sorted(OWN)
    any_world.stays(accounts(OWN))


@pytest.mark.full
def test_a_host_that_the_setting_allows_is_written(any_world: World) -> None:
    rows = [schema("accounts"), record("accounts", id=1, domain="facebook.com", name="Meta")]

    done = any_world.run(rows, allow_domains=["facebook.com"])

    assert done.records == {"received": 1, "created": 1}, done.log
    assert any_world.firms() == [("facebook.com", "Meta")]
    any_world.stays(rows, allow_domains=["facebook.com"])


@pytest.mark.full
def test_nobody_is_linked_to_the_owner_of_a_shared_host(any_world: World) -> None:
    any_world.apollo.store.add_account(domain="facebook.com", name="Meta facebook.com")
    stream = {"properties": {**CONTACT_SCHEMA["properties"], "account_domain": {}}}
    rows = [
        schema("contacts", stream),
        person(1, 1, account_domain="https://www.facebook.com/corner.cafe"),
    ]

    any_world.run(rows)

    assert [c.get("account_id") for c in any_world.apollo.store.contacts()] in ([], [None])


@pytest.mark.full
def test_nobody_is_linked_to_a_provider_of_free_mail(world: World) -> None:
    stream = {"properties": {**CONTACT_SCHEMA["properties"], "account_domain": {}}}
    world.apollo.store.add_account(domain="gmail.com", name="Google Mail gmail.com")
    firm = world.apollo.store.add_account(domain="a.com", name="Something else")["id"]
    rows = [schema("contacts", stream), person(1, 1), person(2, 2, email="ann@gmail.com")]

    done = world.run(rows, link_by_email_domain=True)

    assert done.records == {"received": 2, "created": 2}, done.log
    assert world.contact("p1@a.com")["account_id"] == firm
    assert world.contact("ann@gmail.com").get("account_id") is None


@pytest.mark.full
def test_an_account_is_no_child_of_the_owner_of_a_shared_host(world: World) -> None:
    world.apollo.store.add_account(domain="facebook.com", name="Meta facebook.com")
    stream = {"properties": {**ACCOUNT_SCHEMA["properties"], "parent_account_domain": {}}}
    rows = [
        schema("accounts", stream),
        record(
            "accounts", id=1, domain="a.com", name="A", parent_account_domain="facebook.com/corner"
        ),
    ]

    world.run(rows)

    found = [one for one in world.apollo.store.accounts() if one["domain"] == "a.com"]
    assert [one.get("parent_account_id") for one in found] in ([], [None])
