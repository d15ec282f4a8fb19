"""A page on a host that many companies share renames no account, in any mode, on any way."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Run, contact, record, schema

PAGES = [
    "https://www.facebook.com/corner.cafe",
    "linkedin.com/company/acme",
    "https://instagram.com/corner.cafe",
    "https://x.com/acme",
    "twitter.com/acme",
    "https://www.youtube.com/@acme",
    "https://www.tiktok.com/@acme",
    "https://www.xing.com/pages/acme",
    "https://www.crunchbase.com/organization/acme",
    "https://www.yelp.com/biz/corner-cafe",
    "https://www.tripadvisor.de/Restaurant_Review-g1",
    "https://www.google.com/maps/place/Corner+Cafe",
    "https://sites.google.com/view/acme",
    "https://github.com/acme",
    "https://www.amazon.de/stores/acme",
    "https://www.ebay.co.uk/str/acme",
    "https://www.etsy.com/shop/acme",
    "https://linktr.ee/foo",
    "https://bit.ly/3acme",
    "https://wa.me/4915112345678",
    "https://www.dropbox.com/s/acme",
    "https://acme.notion.so/page",
    "myshopify.com",
    "github.io",
    "co.uk",
]


def service(apollo: Sandbox) -> str:
    return str(apollo.store.add_account(domain="facebook.com", name="Meta")["id"])


@pytest.mark.parametrize("mode", ["insert", "upsert"])
@pytest.mark.parametrize("method", ["individual", "bulk"])
def test_no_page_on_a_shared_host_becomes_an_account_or_renames_one(
    apollo: Sandbox, sync: Run, mode: str, method: str
) -> None:
    service(apollo)
    rows = [
        record("accounts", id=number, domain=page, name="Corner Cafe")
        for number, page in enumerate(PAGES)
    ]

    run = sync(
        [schema("accounts"), *rows, record("accounts", id=99, domain="acme.myshopify.com")],
        mode=mode,
        update_method=method,
    )

    held = {one["domain"]: one["name"] for one in apollo.store.accounts()}
    assert held.pop("facebook.com") == "Meta"
    assert set(held) == {"acme.myshopify.com"}
    assert run.records == {"received": len(PAGES) + 1, "created": 1, "rejected": len(PAGES)}
    assert set(run.reasons) == {"shared_domain"}


def test_an_update_by_id_gives_no_account_a_shared_host(apollo: Sandbox, sync: Run) -> None:
    cafe = str(apollo.store.add_account(domain="cafe.com", name="Cafe")["id"])

    run = sync(
        [schema("accounts"), record("accounts", id=1, apollo_id=cafe, domain="facebook.com/cafe")],
        mode="update",
    )

    assert run.records == {"received": 1, "rejected": 1}
    assert [one["domain"] for one in apollo.store.accounts()] == ["cafe.com"]


def test_a_row_that_was_linked_to_the_account_of_a_service_is_not_written_to_it_again(
    apollo: Sandbox, sync: Run
) -> None:
    service(apollo)
    row = record("accounts", id=1, domain="facebook.com", name="Meta")
    sync([schema("accounts"), row], allow_domains=["facebook.com"])

    changed = record("accounts", id=1, domain="facebook.com/corner.cafe", name="Corner Cafe")
    sync([schema("accounts"), changed])

    assert [one["name"] for one in apollo.store.accounts()] == ["Meta"]


def test_a_host_that_the_setting_allows_is_the_company_s_own(apollo: Sandbox, sync: Run) -> None:
    known = service(apollo)
    row = record("accounts", id=1, domain="www.facebook.com", name="Meta Platforms")

    run = sync([schema("accounts"), row], allow_domains=["https://Facebook.com"])

    assert run.records == {"received": 1, "updated": 1}
    assert [(one["id"], one["name"]) for one in apollo.store.accounts()] == [
        (known, "Meta Platforms")
    ]


def test_a_contact_is_not_linked_to_the_account_of_a_service(apollo: Sandbox, sync: Run) -> None:
    known = service(apollo)
    row = contact(1, account_domain="https://www.facebook.com/corner.cafe")
    described = schema("contacts")
    described["schema"] = {
        "properties": {**described["schema"]["properties"], "account_domain": {"type": "string"}}
    }

    sync([described, row])

    assert [one for one in apollo.store.contacts() if one.get("account_id") == known] == []


@pytest.mark.full
def test_a_wrong_host_in_the_setting_ends_the_run_before_it_begins(
    run_target: Run,
) -> None:
    run = run_target([schema("accounts")], allow_domains=["facebook.com", "not a host"])

    assert run.exit_code == 2
    assert "entry 2 of 'allow_domains' is not a host such as facebook.com" in run.log
