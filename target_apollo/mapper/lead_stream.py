"""A stream of leads: the checks that its SCHEMA gives, and the messages that the target gets."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from target_apollo.mapper.errors import InputError, SettingsError
from target_apollo.mapper.held_state import HeldState
from target_apollo.mapper.keys import Entry, KeyParts, NamedLeads, joined, key_text
from target_apollo.mapper.rules import (
    Check,
    EmailStatus,
    Lead,
    OwnerMapped,
    Rule,
    StreamFacts,
    WithholdField,
)
from target_apollo.mapper.rules.base import Clock
from target_apollo.mapper.rules.owner import OWNER_EMAIL, OWNER_ID, Owners
from target_apollo.mapper.settings import OnMissingField, Settings
from target_apollo.mapper.stdio import LeadReader, RecordWriter, property_pair, with_stream
from target_apollo.mapper.verdicts import Judge, Judgement, Outcome, RuleCounts
from target_apollo.model.objects.registry import APOLLO_ID
from target_apollo.model.texts.characters import is_blank
from target_apollo.model.texts.spelling import nearest_name, spelled_as
from target_apollo.sync.source_schema import SourceSchema, UnusableSchema

_OWNER_FIELDS = (OWNER_ID, OWNER_EMAIL)


class LeadStream:
    """One stream of leads in one run. Call `announce` with its SCHEMA before any other method."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        clock: Clock,
        log: logging.Logger,
        owners: Owners | None = None,
    ) -> None:
        self.name = name
        self.output = settings.output_stream or name
        self.held_state: HeldState | None = None
        self.key_properties: tuple[str, ...] = ()
        self.counts = RuleCounts([rule.rule for rule in settings.rules])
        self._settings = settings
        # None where the setting names nobody, so that most runs compare no key.
        self._always = settings.always or None
        self._clock = clock
        self._log = log
        self._skipped: set[str] = set()
        # The checks outlive a second SCHEMA, since `unique` remembers rows.
        self._checks: dict[str, Check] = {}
        #: The rules of these checks, with the names of properties as the SCHEMA spells them.
        self._checked: dict[str, Rule] = {}
        self._owners = owners
        all_owners = owners.all() if owners else ()
        self._pairs = {owner: property_pair(owner.field, owner.value) for owner in all_owners}
        #: Entries of the setting `always` whose leads came.
        self.named: set[Entry] = set()
        self._writer = RecordWriter(name, self.output)
        if any(rule.may_hold() for rule in settings.rules):
            self.held_state = HeldState(name, _remedy(settings.rules))

    def announce(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Make the checks for a SCHEMA message, and return the SCHEMA that the target gets.

        Raises:
            SettingsError: A rule names a property that the SCHEMA lacks, or can't work on it; or
                the SCHEMA can't be used.
        """
        try:
            found = SourceSchema.of({**schema, "stream": self.name})
        except UnusableSchema as problem:
            raise SettingsError(str(problem)) from None
        properties = found.schema["properties"]
        if self._always is not None:
            self._check_named(self._always, found.key_properties)
        if found.key_properties != self.key_properties:
            self.key_properties = found.key_properties
            self._checks.clear()
            self._checked.clear()
        facts = StreamFacts(self.name, self.output, self.key_properties, self._clock)
        spelled = [rule.spelled(properties) for rule in self._settings.rules]
        rules = [rule for rule in spelled if self._applies(rule, properties)]
        if self.held_state:
            self.held_state.announce(list(found.bookmark_properties))
        self._user_property = next(
            (rule.field for rule in rules if isinstance(rule, OwnerMapped)), None
        )
        self._judge = Judge([(rule.rule, self._check(rule, facts)) for rule in rules])
        self._replication_key = self.held_state.key if self.held_state else None
        self._key_unchecked = self._replication_key is not None
        read = [*self.key_properties, *(field for rule in rules for field in rule.fields())]
        also = [self._replication_key] if self._replication_key else []
        withholding = [rule for rule in rules if isinstance(rule, EmailStatus)]
        self._withheld = next((rule.field for rule in withholding), None)
        self._id_property = spelled_as(APOLLO_ID, properties)
        if self._withheld is not None:
            also.append(self._id_property)
        self._reader = LeadReader(self.name, [*read, *also, *_OWNER_FIELDS])
        return self._outgoing(schema)

    def _check_named(self, always: NamedLeads, key_properties: Sequence[str]) -> None:
        """Check that the setting `always` can name leads of the stream."""
        if not key_properties:
            raise SettingsError(
                f"The setting always can't work on stream '{self.name}': its SCHEMA names no key "
                "properties by which a lead could be told. Set them in the tap's catalog, or leave "
                "the setting empty."
            )
        if key_properties != self.key_properties:
            for misfit in always.misfits(key_properties):
                self._log.warning(
                    "Setting always: %s: it names no lead of stream '%s'. Write the values in the "
                    "order of the key with commas between them, or as a list.",
                    misfit,
                    self.name,
                )

    def missing_properties(self, schema: Mapping[str, Any]) -> list[str]:
        """A sentence for each rule for which `announce` would refuse a SCHEMA message."""
        inner = schema.get("schema")
        properties = inner.get("properties") if isinstance(inner, dict) else None
        if self._settings.on_missing_field is OnMissingField.SKIP or not properties:
            return []
        spelled = [rule.spelled(properties) for rule in self._settings.rules]
        return [
            self._lacks(rule, missing, properties)
            for rule in spelled
            if (missing := _missing(rule, properties)) is not None
        ]

    def _applies(self, rule: Rule, properties: Mapping[str, Any]) -> bool:
        missing = _missing(rule, properties)
        if missing is None:
            return True
        if self._settings.on_missing_field is OnMissingField.SKIP:
            if rule.rule not in self._skipped:
                self._skipped.add(rule.rule)
                self._log.warning(
                    "The rule %s names the property '%s', which the SCHEMA of stream '%s' lacks: "
                    "the rule is skipped.",
                    rule.rule,
                    missing,
                    self.name,
                )
            return False
        raise SettingsError(self._lacks(rule, missing, properties))

    def _lacks(self, rule: Rule, missing: str, properties: Mapping[str, Any]) -> str:
        return (
            f"The rule {rule.rule} names the property '{missing}', which the SCHEMA of stream "
            f"'{self.name}' lacks (it has {', '.join(sorted(properties)) or 'none'}"
            f"{_hint(missing, properties)}). Correct rules.{rule.rule}, set it to false, let the "
            "tap select the property, or narrow `streams` to the streams of leads."
        )

    def _check(self, rule: Rule, facts: StreamFacts) -> Check:
        if self._checked.get(rule.rule) != rule:
            self._checked[rule.rule] = rule
            if isinstance(rule, OwnerMapped) and self._owners is not None:
                self._checks[rule.rule] = rule.check_with(self._owners)
            else:
                self._checks[rule.rule] = rule.check(facts)
        return self._checks[rule.rule]

    def _outgoing(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        inner = dict(schema["schema"])
        properties = dict(inner["properties"])
        not_required: set[str] = set()
        if self._owners is not None and self._user_property is not None:
            not_required.update(_OWNER_FIELDS)
            properties = {
                name: kind for name, kind in properties.items() if name not in _OWNER_FIELDS
            }
            for name in sorted(self._owners.fields):
                properties[name] = {"type": ["string", "null"]}
        if self._withheld is not None:
            not_required.add(self._withheld)
            if self.key_properties:
                properties.setdefault(self._id_property, {"type": ["string", "null"]})
        inner["properties"] = properties
        if not_required and isinstance(inner.get("required"), list):
            inner["required"] = [name for name in inner["required"] if name not in not_required]
        return {**schema, "schema": inner, "stream": self.output}

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """The beginnings of the lines that `read_line` takes."""
        return self._reader.prefixes

    def read_line(self, line: bytes) -> Lead | None:
        """The lead in a line with one of the `prefixes`; None if `read` must read its record."""
        return self._reader.read_line(line)

    def read(self, record: msgspec.Raw) -> Lead:
        """The lead in a record.

        Raises:
            InputError: The record is no object.
        """
        lead = self._reader.read(record)
        if lead is None:
            raise InputError(f"A RECORD of stream '{self.name}' holds no record.")
        return lead

    @property
    def looks_up(self) -> bool:
        """Whether any rule looks something up in `prepare`."""
        return self._judge.looks_up

    def prepare(self, leads: Sequence[Lead]) -> None:
        """Look up what the rules need for these leads; call it before they are judged."""
        self._judge.prepare(leads)

    def judge(self, lead: Lead) -> Judgement:
        """Judge and count a lead; a held one is remembered for STATE."""
        if (
            self._key_unchecked
            and self.held_state is not None
            and self._replication_key is not None
        ):
            self._key_unchecked = not self.held_state.check_value(lead.get(self._replication_key))
        judgement = self._judge.judge(lead)
        if self._always is not None and (entry := self._always.find(self._parts(lead))):
            self.named.add(entry)
            # The person who named the lead has decided: it goes as it is.
            failures = (*judgement.failures, *judgement.withheld)
            judgement = Judgement(Outcome.PASSED, failures, is_named=bool(failures))
        self.counts.count(judgement)
        if judgement.outcome is Outcome.HELD and self.held_state is not None:
            self.held_state.hold(lead.get(self._replication_key) if self._replication_key else None)
        return judgement

    def key(self, lead: Lead) -> str | None:
        """The lead's key as text, such as ``42``; several key values are joined by commas.

        None if the stream has no key properties or the lead has no key.
        """
        return joined(self._parts(lead))

    def _parts(self, lead: Lead) -> KeyParts:
        return tuple([key_text(lead.get(name)) for name in self.key_properties])

    def outgoing(
        self, line: bytes, lead: Lead, withheld: Sequence[tuple[str, WithholdField]]
    ) -> bytes:
        """The RECORD line that the target gets for a lead that passed.

        Args:
            withheld: What its judgement says that the target does not get.
        """
        added = b""
        replaced: list[str] = []
        if self._user_property is not None and self._owners is not None:
            # The mapped owner replaces properties of these names that the source has. They go, too,
            # where a lead passes without an owner: in the source they name its own users.
            replaced = [name for name in _OWNER_FIELDS if name in lead]
            owner = self._owners.of(lead.get(self._user_property))
            if owner is not None:
                added = self._pairs[owner]
        for _, reason in withheld:
            # It is left out and not null, which the target might take for a request to clear it.
            replaced.append(reason.field)
            if reason.apollo_id is not None and is_blank(lead.get(self._id_property)):
                replaced += [name for name in (self._id_property,) if name in lead]
                pair = property_pair(self._id_property, reason.apollo_id)
                added = added + b"," + pair if added else pair
        if added or replaced:
            return self._writer.write(line, added, replaced)
        return line if self.output == self.name else self._writer.write(line)

    def renamed(self, line: bytes) -> bytes:
        """A line other than a RECORD, under the output stream's name."""
        return line if self.output == self.name else with_stream(line, self.output)


def _missing(rule: Rule, properties: Mapping[str, Any]) -> str | None:
    """The first property of a rule that a SCHEMA lacks."""
    return next((field for field in rule.fields() if field not in properties), None)


def _hint(name: str, properties: Collection[str]) -> str:
    near = nearest_name(name, properties)
    return "" if near is None else f"; did you mean '{near}'?"


def _remedy(rules: Sequence[Rule]) -> str:
    switches = {"settled": "rules.settled to false"}
    holding = [rule.rule for rule in rules if rule.may_hold()]
    return "set " + " and ".join(
        switches.get(rule, f"rules.{rule}.hold_unmapped to false") for rule in holding
    )
