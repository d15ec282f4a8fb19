"""The records of a probe: their names, how they are recognised, found again and restored.

Apollo deletes no record by API, so a later probe uses those of an earlier one. It recognises them
by their names together with their address or the probe's list, and touches no other record.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from target_apollo.apollo import (
    ACCOUNT_ENDPOINTS,
    CONTACT_ENDPOINTS,
    JSON,
    ApolloClient,
    Label,
    ObjectEndpoints,
)

#: The name of the lists, one of contacts and one of accounts, and of the account.
NAME: Final = "target-apollo probe"
#: Below a domain that is reserved for examples (RFC 2606), so that the addresses are nobody's.
DOMAIN: Final = "target-apollo-probe.example.com"
OTHER_DOMAIN: Final = f"other.{DOMAIN}"
FIRST_NAME: Final = "Probe"
ONE: Final = "One"
TWIN: Final = "Twin"
MALFORMED: Final = "Malformed"
LAST_NAMES: Final = (ONE, TWIN, MALFORMED)
TITLE: Final = "Made by apollo-sync probe"
LINKEDIN: Final = "https://www.linkedin.com/in/target-apollo-probe-one"
MALFORMED_EMAIL: Final = f"mal..formed@{DOMAIN}"
NAMESAKE_EMAIL: Final = f"namesake@{DOMAIN}"
#: The most contacts and accounts that all probes of a team together make.
MOST_RECORDS: Final = 6
#: The most of them that are accounts: the first, and one by a question about its double.
MOST_ACCOUNTS: Final = 2

#: Seconds between looks at a search that may show changes late.
LOOKS: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)


class RecordsHidden(Exception):
    """There are records of an earlier probe that Apollo's search does not show.

    The text is the reason why nothing is asked that needs records.
    """

    def __init__(self, what: str) -> None:
        """`what`: contacts or accounts."""
        super().__init__(
            f"the list '{NAME}' has more {what} than Apollo's search shows; run again later, or "
            f"delete the list in Apollo after its {what}"
        )


def email_of(last_name: str) -> str:
    """The address with which a contact of the probe is made."""
    return MALFORMED_EMAIL if last_name == MALFORMED else f"{last_name.lower()}@{DOMAIN}"


def as_new_contact(last_name: str) -> JSON:
    """A contact of the probe as it is made."""
    contact = {
        "first_name": FIRST_NAME,
        "last_name": last_name,
        "email": email_of(last_name),
        "organization_name": NAME,
        "title": TITLE,
    }
    return {**contact, "linkedin_url": LINKEDIN} if last_name == ONE else contact


def is_own_contact(record: JSON, list_id: str | None) -> bool:
    """Whether a contact is one that a probe has made."""
    named = record.get("first_name") == FIRST_NAME and record.get("last_name") in LAST_NAMES
    at_domain = str(record.get("email") or "").lower().endswith(f"@{DOMAIN}")
    return named and (at_domain or (list_id is not None and list_id in lists_of(record)))


def is_own_account(record: JSON) -> bool:
    """Whether an account is one that a probe has made."""
    domain = str(record.get("domain") or "").lower()
    return str(record.get("name") or "").startswith(NAME) and domain.endswith(DOMAIN)


def lists_of(record: JSON) -> list[str]:
    """The ids of the lists that a record is on."""
    ids = record.get("label_ids")
    return ids if isinstance(ids, list) else []


@dataclass
class OwnRecords:
    """The records of the probe, as Apollo has answered them last.

    Attributes:
        contact_list, account_list: Ids of the lists; None where there is none yet.
        unseen: How many more there may be, which no answer has shown.
    """

    contacts: dict[str, JSON] = field(default_factory=dict)
    accounts: dict[str, JSON] = field(default_factory=dict)
    contact_list: str | None = None
    account_list: str | None = None
    unseen: int = 0

    @property
    def room(self) -> int:
        """How many records may still be made."""
        return MOST_RECORDS - len(self.contacts) - len(self.accounts) - self.unseen

    def named(self, last_name: str) -> list[JSON]:
        """The contacts of this name, the one with its own address first, then the oldest."""
        found = [one for one in self.contacts.values() if one.get("last_name") == last_name]
        own = email_of(last_name)
        return sorted(found, key=lambda one: (one.get("email") != own, str(one["id"])))

    @property
    def account(self) -> JSON | None:
        """The account with the probe's domain; a request may have given it the other one."""
        return min(
            self.accounts.values(),
            key=lambda one: (one.get("domain") != DOMAIN, str(one["id"])),
            default=None,
        )

    def note_contact(self, record: JSON) -> None:
        """Take a contact as an answer has it; what a short answer leaves out stays as it was."""
        self.contacts[record["id"]] = {**self.contacts.get(record["id"], {}), **record}

    def note_account(self, record: JSON) -> None:
        """Take an account in the same way."""
        self.accounts[record["id"]] = {**self.accounts.get(record["id"], {}), **record}


def own_list(client: ApolloClient, of: ObjectEndpoints) -> Label | None:
    """The list of the probe's contacts or accounts; None where there is none yet."""
    wanted = (NAME, of.plural)
    return next((one for one in client.labels() if (one.name, one.modality) == wanted), None)


def find_contacts(client: ApolloClient, own: OwnRecords, stop: threading.Event) -> None:
    """Find the contacts of earlier probes: by the list, and by a search for their domain.

    Raises:
        RecordsHidden: The list has more contacts than the search shows.
        ApolloError: Apollo can't be asked.
    """
    of = CONTACT_ENDPOINTS
    label = own_list(client, of)
    own.contact_list = label.id if label else None
    for pause in LOOKS:
        stop.wait(pause)
        found = [] if label is None else client.on_list(of, label.id, 1).records
        found += client.search(of, DOMAIN)
        for record in found:
            if is_own_contact(record, own.contact_list):
                own.note_contact(record)
        if label is None or (label.count or 0) <= len(own.contacts):
            return
    raise RecordsHidden("contacts")


def find_accounts(client: ApolloClient, own: OwnRecords, stop: threading.Event) -> None:
    """Find the accounts of earlier probes by their name; errors as `find_contacts`."""
    of = ACCOUNT_ENDPOINTS
    label = own_list(client, of)
    own.account_list = label.id if label else None
    for pause in LOOKS:
        stop.wait(pause)
        for record in client.search(of, NAME):
            if is_own_account(record):
                own.note_account(record)
        if label is None or (label.count or 0) <= len(own.accounts):
            return
    raise RecordsHidden("accounts")


def restore_contacts(client: ApolloClient, own: OwnRecords) -> None:
    """Give the contacts the values with which they were made; what is right needs no request.

    Raises:
        ApolloError: Apollo can't be asked.
    """
    of = CONTACT_ENDPOINTS
    for record in list(own.contacts.values()):
        wrong = dict(_wrong_values(record, own))
        if wrong:
            own.note_contact(client.update(of, record["id"], wrong))
    twins = own.named(TWIN)
    pattern = twins[0] if twins else {}
    for key, change in (
        ("owner_id", client.update_owners),
        ("contact_stage_id", client.update_stages),
    ):
        value = pattern.get(key)
        moved = [
            one["id"] for one in own.contacts.values() if value and one.get(key, value) != value
        ]
        if moved:
            for record in change(of, moved, str(value)):
                own.note_contact(record)
    missing = [
        one["id"]
        for one in own.contacts.values()
        if own.contact_list and "label_ids" in one and own.contact_list not in lists_of(one)
    ]
    if missing:
        client.add_to_lists(of, missing, [NAME])
        for contact_id in missing:
            own.note_contact(client.read(of, contact_id))


def restore_account(client: ApolloClient, own: OwnRecords) -> None:
    """Give the account that questions are asked with its name and domain; errors as above."""
    account, values = own.account, {"name": NAME, "domain": DOMAIN}
    wrong = {key: value for key, value in values.items() if account and account.get(key) != value}
    if account and wrong:
        own.note_account(client.update(ACCOUNT_ENDPOINTS, account["id"], wrong))


def _wrong_values(record: JSON, own: OwnRecords) -> Iterator[tuple[str, str]]:
    last_name = str(record.get("last_name"))
    if record.get("title", TITLE) != TITLE:
        yield "title", TITLE
    if last_name == MALFORMED:
        # Which address it has is an answer of Apollo's.
        return
    is_alone = len(own.named(last_name)) == 1
    kept = {email_of(last_name)} if is_alone else {email_of(last_name), NAMESAKE_EMAIL}
    if record.get("email") not in kept:
        yield "email", email_of(last_name)
