from __future__ import annotations

from target_apollo.model.objects.registry import ACCOUNT, CONTACT
from target_apollo.sync.dry_run.known_records import dedupe_keys


def test_a_contact_is_recognised_by_crm_ids_then_addresses_then_its_name_at_a_company() -> None:
    contact = {
        "salesforce_contact_id": "003A",
        "email": "Ann@Firm.com",
        "contact_emails": [{"email": "ann@other.com"}],
        "first_name": "Ann",
        "last_name": "Lee",
        "organization_name": "Firm Ltd",
    }

    assert dedupe_keys(CONTACT, contact) == [
        "crm 003A",
        "email ann@firm.com",
        "email ann@other.com",
        "name ann lee at firm.com",
        "name ann lee of firm ltd",
    ]


def test_a_name_at_a_free_mail_provider_tells_nobody_apart() -> None:
    contact = {"email": "ann@gmail.com", "first_name": "Ann", "last_name": "Lee"}

    assert dedupe_keys(CONTACT, contact) == ["email ann@gmail.com"]


def test_half_a_name_is_none() -> None:
    assert dedupe_keys(CONTACT, {"email": "ann@firm.com", "first_name": "Ann"}) == [
        "email ann@firm.com"
    ]


def test_an_account_is_recognised_by_crm_ids_then_domain_then_name() -> None:
    account = {"salesforce_id": "001", "domain": "https://www.Firm.com/", "name": "Firm"}

    assert dedupe_keys(ACCOUNT, account) == ["crm 001", "domain firm.com", "name firm"]
