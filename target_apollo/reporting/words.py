"""Ends of runs, reject reasons, rules and duplicates in words, for the reports. Pure.

A name that this version does not know, from a file of another version, is shown with spaces in
place of its underscores.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from target_apollo.model.outcomes import Reason
from target_apollo.reporting.detail import RejectRow, WaitingRow
from target_apollo.reporting.past_runs import PastRun
from target_apollo.reporting.summaries import Summary
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, OUT_OF_QUOTA, SIGNALLED
from target_apollo.sync.words import duration, moment, number, plural
from target_apollo.system.shown import name_shown


class Tone(enum.Enum):
    """Whether something is good news, a warning or bad news; it sets the colour."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class End:
    """How a run ended, in few words."""

    words: str
    tone: Tone


_ENDS = {
    OK: End("all well", Tone.GOOD),
    FAILED: End("failed", Tone.BAD),
    MISCONFIGURED: End("wrong settings or key", Tone.BAD),
    OUT_OF_QUOTA: End("out of quota", Tone.WARN),
}


def end_of(run: PastRun) -> End:
    """How a run ended, by its exit code."""
    code = run.exit_code
    if code is None:
        return End("no end noted", Tone.BAD)
    if code in _ENDS:
        return _ENDS[code]
    try:
        return End(f"stopped by {signal.Signals(code - SIGNALLED).name}", Tone.WARN)
    except ValueError:
        return End(f"exit code {code}", Tone.BAD)


def run_in_words(run: PastRun) -> str:
    """A run in a few sentences."""
    if run.ended_at is None:
        return (
            "No end was noted: the run was killed, or it is still under way. What it wrote is "
            "known to the ledger, and the next run goes on from there."
        )
    if not run.counts:
        return "Its counts are not known."
    took = f" in {duration(run.seconds)}" if run.seconds is not None else ""
    did = [
        f"{amount(run, 'created')} created and {amount(run, 'updated')} updated in Apollo"
        if not run.dry
        else f"{amount(run, 'created')} to create and {amount(run, 'updated')} to update"
    ]
    if same := (run.count("unchanged") or 0) + (run.count("existing") or 0):
        did.append(f"{number(same)} needed no change")
    if run.count("rejected"):
        did.append(f"{amount(run, 'rejected')} could not be written")
    if run.count("without_outcome"):
        did.append(f"{amount(run, 'without_outcome')} left for the next run")
    received = run.count("received")
    rows = "row" if received == 1 else "rows"
    begin = "A dry run, which wrote nothing: " if run.dry else ""
    split = run.count("split")
    into = f", split into {number((received or 0) + split)}" if split else ""
    return f"{begin}{number(received)} {rows} read{into}{took}: {'; '.join(did)}."


def not_kept(row: RejectRow) -> str:
    """How many of the rejected records are not in the rejects file, and why; empty if none."""
    missing = row.number - row.kept.number
    if missing <= 0:
        return ""
    if row.has_earlier:
        return f"{number(missing)} were put into the file by an earlier run, or left it"
    if not row.kept.keys:
        return "none of them is in the file any more"
    return f"{number(missing)} left the file since"


def estimate_in_words(summary: Summary) -> str:
    """How long the real run after a dry run would take; empty where there is no estimate."""
    estimate = summary.estimate
    if estimate is None:
        return ""
    said = []
    if estimate.seconds is not None:
        said.append(f"The real run would take about {duration(estimate.seconds)}.")
    if estimate.takes_several_runs:
        said.append("Apollo's limits would stop it: it needs several runs.")
    return " ".join(said)


def amount(run: PastRun, name: str) -> str:
    """A count of a run as text."""
    return number(run.count(name))


REASONS: Mapping[str, str] = {
    Reason.UNREADABLE.value: "The line is no Singer message",
    Reason.TOO_LONG.value: "The line is too long to be held",
    Reason.TOO_MANY_PROPERTIES.value: "The record has too many properties",
    Reason.NO_SCHEMA.value: "The tap described no such stream",
    Reason.STREAM_MAP.value: "A stream map can't be applied to it",
    Reason.SCHEMA_MISMATCH.value: "It breaks the schema of its stream",
    Reason.MISSING_KEY_PROPERTY.value: "It has no key",
    Reason.MISSING_EMAIL.value: "It has no e-mail address",
    Reason.MALFORMED_EMAIL.value: "Its e-mail address is malformed",
    Reason.MISSING_DOMAIN.value: "It has no domain",
    Reason.MISSING_MATCH_KEY.value: "It has none of the keys in the setting match_on",
    Reason.MISSING_VALUE.value: "It lacks a value that it needs",
    Reason.MALFORMED_DOMAIN.value: "Its domain is malformed",
    Reason.SHARED_DOMAIN.value: "Its domain is a site that many companies share",
    Reason.MALFORMED_ID.value: "An id in it is malformed",
    Reason.WRONG_TYPE.value: "A value in it is of the wrong kind",
    Reason.UNKNOWN_NAME.value: "It names an owner, stage or account that Apollo does not know",
    Reason.UPDATE_NEEDS_ID.value: "Its Apollo id is not known, and this mode needs it",
    Reason.IDENTITY_CONFLICT.value: "More than one record of Apollo could be its own",
    Reason.REFUSED.value: "Apollo refused it",
    Reason.CUSTOM_FIELD_REFUSED.value: "Apollo refused a custom field of it",
    Reason.DELETED.value: "It was deleted in Apollo",
    Reason.GONE.value: "Apollo has no record of its id",
    Reason.NOT_CONFIRMED.value: "Apollo's answer did not confirm it",
    Reason.OUTCOME_UNKNOWN.value: "Nothing tells whether Apollo has it already",
    Reason.SEQUENCE_NOT_ALLOWED.value: "Its sequence is not in allow_sequences",
    Reason.INACTIVE.value: "Its sequence or mailbox is not active",
    Reason.PROTECTED_STAGE.value: "Its contact is in a protected stage",
    Reason.NOT_ENROLLED.value: "Its contact may not be enrolled",
    Reason.ENROLMENT_WAITS.value: "Its contact waits in a queue of Apollo",
}

#: What to do about the records of a reason.
REMEDIES: Mapping[str, str] = {
    Reason.UNREADABLE.value: "Find what writes to standard output beside the tap",
    Reason.TOO_LONG.value: "Deselect the column that makes the record so large",
    Reason.TOO_MANY_PROPERTIES.value: "Deselect what was flattened into so many columns",
    Reason.NO_SCHEMA.value: "Mend the tap, which must send the SCHEMA of a stream first",
    Reason.STREAM_MAP.value: "Let the expression in stream_maps bear this row",
    Reason.SCHEMA_MISMATCH.value: "Run the tap's discovery again, or mend the column",
    Reason.MISSING_KEY_PROPERTY.value: "Fill in the key, or name another for the stream in streams",
    Reason.MISSING_EMAIL.value: "Filter such rows in the warehouse, or give apollo_id",
    Reason.MALFORMED_EMAIL.value: "Correct the address in the warehouse",
    Reason.MISSING_DOMAIN.value: "Filter such rows in the warehouse, or give apollo_id",
    Reason.MISSING_MATCH_KEY.value: "Fill in one of the keys, or name another in match_on",
    Reason.MISSING_VALUE.value: "Fill in the column, or filter such rows",
    Reason.MALFORMED_DOMAIN.value: "Correct the domain in the warehouse",
    Reason.SHARED_DOMAIN.value: "Give the company's own domain, or name the host in allow_domains",
    Reason.MALFORMED_ID.value: "Map the column elsewhere: it holds no Apollo id",
    Reason.WRONG_TYPE.value: "Cast the column in the warehouse",
    Reason.UNKNOWN_NAME.value: "Make it in Apollo, correct the name, or set unresolved",
    Reason.UPDATE_NEEDS_ID.value: "Give apollo_id, or write the rows in mode upsert once",
    Reason.IDENTITY_CONFLICT.value: "Merge the records in Apollo, or correct the row",
    Reason.REFUSED.value: "Read Apollo's words in the rejects file, and mend the values",
    Reason.CUSTOM_FIELD_REFUSED.value: "Mend the field's value; the rest of the row is written",
    Reason.DELETED.value: "Leave the row out, or take its apollo_id away",
    Reason.GONE.value: "Correct the id, or take it away",
    Reason.NOT_CONFIRMED.value: "Look at the record in Apollo, then replay the row",
    Reason.OUTCOME_UNKNOWN.value: "Look in Apollo for its record, and name that in apollo_id",
    Reason.SEQUENCE_NOT_ALLOWED.value: "Name the sequence in allow_sequences, if people may get it",
    Reason.INACTIVE.value: "Activate the sequence or the mailbox in Apollo",
    Reason.PROTECTED_STAGE.value: "Leave the row out, or let a person change the stage in Apollo",
    Reason.NOT_ENROLLED.value: "Look at the contact in Apollo; the cause says what holds it back",
    Reason.ENROLMENT_WAITS.value: "Nothing: the next run tries again",
}

DUPLICATES: Mapping[str, str] = {
    "same_email": "One e-mail address in several rows",
    "same_domain": "One domain in several rows",
    "same_linkedin_url": "One LinkedIn profile in several rows",
    "same_hubspot_id": "One HubSpot id in several rows",
    "same_salesforce_id": "One Salesforce id in several rows",
    "same_salesforce_lead_id": "One Salesforce lead in several rows",
    "same_salesforce_contact_id": "One Salesforce contact in several rows",
    "same_name": "One name in several rows",
    "same_custom_field": "One id of a custom field in several rows",
    "several_accounts": "One domain in several Apollo accounts",
    "free_mail_domain": "A free-mail provider's domain as a company's",
    "": "One e-mail address or domain in several rows",
}

RULES: Mapping[str, str] = {
    "company_only": "A company",
    "not_customer": "Not a customer yet",
    "icp_fit": "Fits the ideal customer",
    "stage": "At a stage far enough",
    "not_quarantined": "Not in quarantine",
    "valid_company": "Has a name and a domain",
    "owner_mapped": "Its owner is known in Apollo",
    "not_synced": "New, or changed since",
    "settled": "Nobody is editing it",
    "valid_email": "A valid e-mail address",
    "email_status": "A verified e-mail address, or none needed",
    "not_test_record": "No test record",
    "active_since": "Active lately",
    "stage_selected": "At a chosen stage",
    "unique": "Not met before in this run",
}


def reason_words(reason: str) -> str:
    """Why a record was rejected, as a sentence without its full stop."""
    return REASONS.get(reason) or _name(reason)


def remedy_words(reason: str) -> str:
    """What to do about rejected records, as a sentence without its full stop."""
    return REMEDIES.get(reason) or "Look the reason up in the project's page on troubleshooting"


def waiting_words(row: WaitingRow) -> str:
    """Values that are still to be sent, as a sentence."""
    return (
        f"{name_shown(row.stream)}: {plural(row.values, 'value')} of {name_shown(row.field)} to be "
        f"sent, the oldest for {duration(row.seconds)}, since {moment(row.since)} UTC."
    )


def duplicate_words(kind: str) -> str:
    """Why rows are duplicates, in words."""
    return DUPLICATES.get(kind) or _name(kind)


def rule_words(rule: str) -> str:
    """Describes a lead that meets a rule."""
    return RULES.get(rule) or _name(rule)


def _name(name: str) -> str:
    return name_shown(name).replace("_", " ").capitalize()
