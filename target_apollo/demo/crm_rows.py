"""Makes the rows of a CRM, good and bad ones, and what a sync must make of them.

All values follow from a seed. Companies and people are invented. The expected outcome of a row is
noted when the row is made, so that it does not depend on the code under test. No function does I/O.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from target_apollo.model.outcomes import Reason

Row = dict[str, object]

#: Far in the past, so that a change made now is later than all rows.
FIRST_CHANGE = datetime(2024, 1, 8, 6, 0, tzinfo=timezone.utc)
SECONDS_BETWEEN_ROWS = 37


def _words(listed: str) -> list[str]:
    return listed.split()


_FIRST = _words("""
Alder Amber Ashen Basalt Beryl Birch Bramble Cedar Cinder Cobalt Copper Coral Delta Dune
Ember Fable Falcon Fennel Flint Garnet Granite Harbour Hazel Heron Indigo Iron Ivory Jasper Juniper
Kestrel Lantern Larch Linden Lumen Maple Marble Meadow Nimbus Northern Oaken Onyx Opal Orchard
Pebble Quartz Raven Saffron Slate Tundra Willow""")
_SECOND = _words("""
Analytics Automation Biotech Brewing Capital Cargo Ceramics Cloud Dental Digital
Dynamics Energy Engineering Finance Foods Forge Freight Glassworks Health Hydraulics Insurance
Instruments Labs Legal Logistics Machinery Media Mobility Networks Optics Packaging Partners Pharma
Plastics Robotics Security Software Solar Textiles Ventures""")
_LEGAL_FORMS = ("Inc.", "GmbH", "Ltd", "LLC", "S.A.", "AG", "", "")
_TOP_LEVELS = ("com", "com", "com", "io", "de", "co.uk", "fr")
#: (name, domain as written, domain as Apollo holds it) of companies with non-ASCII names.
_UNICODE_COMPANIES = (
    ("Müller & Söhne GmbH", "müller-söhne-werke.de", "xn--mller-shne-werke-swb5h.de"),
    ("Café Zoë S.A.", "café-zoë-rösterei.fr", "xn--caf-zo-rsterei-dkb9a9o.fr"),
    ("東雲電機株式会社", "shinonome-denki.com", "shinonome-denki.com"),
    ("Łódź Systemy", "lodz-systemy.com", "lodz-systemy.com"),
)
_GIVEN = _words("""
Ada Amir Anna Ben Carla Chen Daniel Elif Emma Felix Grace Hanna Ines Ivan Jonas Julia
Karim Lara Leo Lucía Maya Milan Nadia Noah Olga Omar Paula Priya Ravi Rosa Sam Sofia Tariq Tom Uma
Vera Wei Yara Zoë Łukasz""")
_FAMILY = _words("""
Abel Bauer Berg Costa Dias Dubois Evans Fischer Garcia Gruber Haas Ito Jensen Kaya
Keller Khan Kowalski Kumar Lang Lopez Meyer Moreau Müller Nguyen Novak Okafor Olsen Park Patel
Pereira Rossi Sato Schmidt Silva Singh Şahin Tanaka Weber Wong Ñúñez""")
_ASCII = str.maketrans("łŁíëüŞÑúñ", "lLieuSNun")
_TITLES = (
    "Account Executive", "Buyer", "Chief Financial Officer", "Controller", "Data Engineer",
    "Designer", "Head of Operations", "IT Manager", "Key Account Manager", "Office Manager",
    "Plant Manager", "Product Owner", "VP Sales",
)  # fmt: skip
_INDUSTRIES = ("machinery", "logistics", "software", "health care", "food production", None)
_STREETS = ("Market Street", "Hafenstraße", "Rue du Port", "Mill Lane", "Industrial Avenue")
_CITIES = ("Portland, OR 97204", "Hamburg 20457", "Lyon 69002", "Leeds LS1 4AP", "Austin, TX 78701")
#: What a source writes where it has no address.
_NO_ADDRESS = "n/a"
_BROKEN_EMAILS = (
    _NO_ADDRESS,
    "no e-mail",
    "{local}@",
    "{local}.{domain}",
    "{local}@@{domain}",
    "{local}@intranet",
)
_BROKEN_DOMAINS = ("unknown", "http://", "two words.com", "a..b")
_LEFT_THE_COMPANY = "left.the.company@northwind.example"


@dataclass(frozen=True)
class Workspace:
    """Names of Apollo to which rows refer: users by e-mail address, stages by name."""

    owner_emails: tuple[str, ...] = ()
    contact_stages: tuple[str, ...] = ()
    account_stages: tuple[str, ...] = ()


@dataclass
class Table:
    """The rows of one table, and what the target must make of them.

    Attributes:
        rows: In the order of their ``updated_at``.
        bad: Id of each row that can't be written -> the reason.
        row_of_key: Match key (e-mail or domain, normalised) -> id of the row whose values Apollo
            must have after the sync. Its length is the number of records in Apollo.
        duplicates: Ids of good rows whose match key a later row has too.
        keys_twice: Match keys of more than one good row.
    """

    rows: list[Row] = field(default_factory=list)
    bad: dict[int, Reason] = field(default_factory=dict)
    row_of_key: dict[str, int] = field(default_factory=dict)
    duplicates: list[int] = field(default_factory=list)
    keys_twice: set[str] = field(default_factory=set)

    @property
    def bad_by_reason(self) -> dict[str, int]:
        """Reason -> number of bad rows, the most frequent reason first."""
        counts: dict[str, int] = {}
        for reason in self.bad.values():
            counts[reason.value] = counts.get(reason.value, 0) + 1
        return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))

    def add(self, row: Row, key: str, reason: Reason | None) -> None:
        """Append a row with its match key; a bad row has a ``reason`` why it can't be written."""
        number = len(self.rows) + 1
        changed = FIRST_CHANGE + timedelta(seconds=number * SECONDS_BETWEEN_ROWS)
        created = changed - timedelta(days=number % 900)
        self.rows.append({"id": number, **row, "created_at": created, "updated_at": changed})
        if reason is not None:
            self.bad[number] = reason
            return
        if key in self.row_of_key:
            self.duplicates.append(self.row_of_key[key])
            self.keys_twice.add(key)
        self.row_of_key[key] = number


@dataclass(frozen=True)
class CrmRows:
    """The tables of the schema ``crm``."""

    accounts: Table
    contacts: Table


def crm_rows(
    *, accounts: int = 2000, contacts: int = 5000, seed: int = 7, workspace: Workspace | None = None
) -> CrmRows:
    """Make the rows; the same arguments give the same rows on every Python."""
    chance = random.Random(seed)
    workspace = workspace or Workspace()
    companies = _companies(max(1, accounts), chance)
    account_table = Table()
    for number, company in enumerate(companies[:accounts]):
        # One row in a hundred repeats a company, as if it came from a second system.
        twice = number % 100 == 99
        account_table.add(
            *_account(companies[number - 50] if twice else company, workspace, chance)
        )
    people = _people(contacts, companies, chance)
    contact_table = Table()
    for number, person in enumerate(people):
        twice = number % 100 == 99
        row, key, reason = _contact(people[number - 50] if twice else person, workspace, chance)
        # To look up an account by its domain takes a search, so only a few contacts have one.
        if (
            number < 480
            and number % 40 == 0
            and person.company.ascii_domain in account_table.row_of_key
        ):
            row["account_domain"] = person.company.domain
        contact_table.add(row, key, reason)
    return CrmRows(account_table, contact_table)


@dataclass(frozen=True)
class _Company:
    name: str
    domain: str
    ascii_domain: str


@dataclass(frozen=True)
class _Person:
    given: str
    family: str
    local: str
    company: _Company

    @property
    def email(self) -> str:
        return f"{self.local}@{self.company.ascii_domain}"


def _companies(count: int, chance: random.Random) -> list[_Company]:
    pairs = [(first, second) for first in _FIRST for second in _SECOND]
    chance.shuffle(pairs)
    companies = [_Company(*names) for names in _UNICODE_COMPANIES]
    while len(companies) < count:
        number, index = divmod(len(companies) - len(_UNICODE_COMPANIES), len(pairs))
        first, second = pairs[index]
        domain = f"{first}-{second}{number or ''}.{chance.choice(_TOP_LEVELS)}".lower()
        name = f"{first} {second} {chance.choice(_LEGAL_FORMS)}".strip()
        companies.append(_Company(name, domain, domain))
    chance.shuffle(companies)
    return companies


def _people(count: int, companies: list[_Company], chance: random.Random) -> list[_Person]:
    people: list[_Person] = []
    taken = set()
    while len(people) < count:
        given, family = chance.choice(_GIVEN), chance.choice(_FAMILY)
        company = chance.choice(companies)
        # Apollo matches two people with the same name and company.
        while (given, family, company) in taken:
            family += f"-{chance.choice(_FAMILY)}"
        taken.add((given, family, company))
        local = f"{given}.{family}.{len(people) + 1}".translate(_ASCII).lower()
        people.append(_Person(given, family, local, company))
    return people


def _account(
    company: _Company, workspace: Workspace, chance: random.Random
) -> tuple[Row, str, Reason | None]:
    domain: str | None = _written_domain(company.domain, chance)
    owner = _maybe(workspace.owner_emails, 0.6, chance)
    reason = None
    bad = chance.random()
    if bad < 0.006:
        domain, reason = chance.choice((None, "", "  ")), Reason.MISSING_DOMAIN
    elif bad < 0.012:
        domain, reason = chance.choice(_BROKEN_DOMAINS), Reason.MALFORMED_DOMAIN
    elif bad < 0.015:
        owner, reason = _LEFT_THE_COMPANY, Reason.UNKNOWN_NAME
    number, street, city = chance.randint(1, 240), chance.choice(_STREETS), chance.choice(_CITIES)
    row: Row = {
        "domain": domain,
        "name": company.name if chance.random() < 0.95 else f"  {company.name} ",
        "phone_number": _phone(chance) if chance.random() < 0.7 else None,
        "industry": chance.choice(_INDUSTRIES),
        "raw_address": f"{number} {street}, {city}" if chance.random() < 0.6 else None,
        "owner_email": owner,
        "account_stage": _maybe(workspace.account_stages, 0.5, chance),
        "lifetime_value": _money(chance),
    }
    return row, company.ascii_domain, reason


def _contact(
    person: _Person, workspace: Workspace, chance: random.Random
) -> tuple[Row, str, Reason | None]:
    email: str | None = _written_email(person.email, chance)
    owner = _maybe(workspace.owner_emails, 0.4, chance)
    reason = None
    bad = chance.random()
    if bad < 0.006:
        email, reason = chance.choice((None, "", " ")), Reason.MISSING_EMAIL
    elif bad < 0.012:
        domain = person.company.ascii_domain
        email = chance.choice(_BROKEN_EMAILS).format(local=person.local, domain=domain)
        reason = Reason.MISSING_EMAIL if email == _NO_ADDRESS else Reason.MALFORMED_EMAIL
    elif bad < 0.014:
        owner, reason = _LEFT_THE_COMPANY, Reason.UNKNOWN_NAME
    profile = f"https://www.linkedin.com/in/{person.local.replace('.', '-')}"
    row: Row = {
        "email": email,
        "first_name": person.given,
        "last_name": person.family if chance.random() < 0.97 else person.family.upper() + " ",
        "title": chance.choice(_TITLES) if chance.random() < 0.9 else None,
        "organization_name": person.company.name if chance.random() < 0.85 else None,
        "phone_number": _phone(chance) if chance.random() < 0.5 else None,
        # Apollo takes a mobile number only in a request for a single contact, so few have one.
        "mobile_phone": _phone(chance) if chance.random() < 0.004 else None,
        "linkedin_url": profile if chance.random() < 0.3 else None,
        "owner_email": owner,
        "contact_stage": _maybe(workspace.contact_stages, 0.5, chance),
        "account_domain": None,
        "lifetime_value": _money(chance),
    }
    return row, person.email, reason


def _maybe(values: tuple[str, ...], share: float, chance: random.Random) -> str | None:
    drawn = chance.random() < share
    return chance.choice(values) if values and drawn else None


def _written_domain(domain: str, chance: random.Random) -> str:
    forms = (
        "{plain}", "{plain}", "{plain}", "{upper}", "www.{plain}", "https://www.{title}/about",
        "http://{plain}:8080/", "https://{plain}/en?utm_source=crm#top", "  {plain} ", "{plain}/",
    )  # fmt: skip
    form = chance.choice(forms)
    return form.format(plain=domain, upper=domain.upper(), title=domain.title())


def _written_email(email: str, chance: random.Random) -> str:
    local, _, domain = email.partition("@")
    forms = (
        email, email, email, email, f"  {email}", f"{email} \t", email.upper(),
        f"{local.title()}@{domain}", f"{local}@{domain.title()}",
    )  # fmt: skip
    return chance.choice(forms)


def _phone(chance: random.Random) -> str:
    area, first, last = chance.randint(201, 989), chance.randint(200, 999), chance.randint(0, 9999)
    forms = (
        "+1 {a} {b} {c:04}", "({a}) {b}-{c:04}", "{a}-{b}-{c:04}", "+1{a}{b}{c:04}",
        "001 {a} {b}{c:04}", "{a}.{b}.{c:04} ext. 12", "+49 40 {b}{c:04}", "0{a}/{b} {c:04}",
    )  # fmt: skip
    return chance.choice(forms).format(a=area, b=first, c=last)


def _money(chance: random.Random) -> Decimal | None:
    return Decimal(chance.randint(0, 9_999_999)).scaleb(-2) if chance.random() < 0.8 else None
