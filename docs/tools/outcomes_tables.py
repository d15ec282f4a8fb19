"""What becomes of records and runs: outcomes, reasons of rejects, exit codes, as tables."""

from __future__ import annotations

from collections.abc import Mapping

from docs.tools.markdown import table
from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, OUT_OF_QUOTA

#: Outcome -> what became of the row, and what it costs.
_OUTCOMES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.CREATED: (
        "Apollo had no record of it and has one now, which Apollo's answer names",
        "a hundredth of a request; one more for fields that only a request for one record writes",
    ),
    Outcome.UPDATED: (
        "its record differed, and what differed is written",
        "a hundredth of a request in bulk, a request one by one",
    ),
    Outcome.UNCHANGED: (
        "its record has these values already",
        "nothing, where the ledger knows it",
    ),
    Outcome.EXISTING: (
        "mode insert: Apollo has the record, and it stays as it is",
        "nothing, where the ledger knows it",
    ),
    Outcome.SKIPPED: (
        "a later row of its key replaced it, a stream map dropped it, its stream is left out, or "
        "its record was deleted in Apollo",
        "nothing",
    ),
    Outcome.REJECTED: (
        "it could not be written, for a reason of the table below; it is in the rejects file",
        "nothing, if the row itself is wrong; a request or a few, if Apollo refuses it",
    ),
}

#: Reason -> what it means, and what to do.
_REASONS: Mapping[Reason, tuple[str, str]] = {
    Reason.UNREADABLE: (
        "a line that is no Singer message; kept as text",
        "send the tap's log to stderr",
    ),
    Reason.TOO_LONG: (
        "a line of more than 8 MB; its length and number are kept, not its text",
        "deselect the column that makes rows so large",
    ),
    Reason.TOO_MANY_PROPERTIES: (
        "a record of more than 10,000 properties",
        "deselect the map that was flattened into columns",
    ),
    Reason.NO_SCHEMA: ("it came before the SCHEMA of its stream", "mend the tap"),
    Reason.STREAM_MAP: (
        "a stream map can't be applied to it",
        "let the expression bear values that are null",
    ),
    Reason.SCHEMA_MISMATCH: ("it breaks the tap's own SCHEMA", "run the tap's discovery again"),
    Reason.MISSING_KEY_PROPERTY: (
        "a property of its key is missing or empty",
        "fill it in the warehouse, or name another `key` in `streams`",
    ),
    Reason.MISSING_EMAIL: (
        "a contact without an e-mail address",
        "filter such rows, or add another key to `match_on`",
    ),
    Reason.MALFORMED_EMAIL: ("its e-mail address is none by its form", "correct the row"),
    Reason.MISSING_DOMAIN: (
        "an account without a domain",
        "filter such rows, or add another key to `match_on`",
    ),
    Reason.MISSING_MATCH_KEY: (
        "it has none of the keys in `match_on`",
        "fill one of them, or add another kind",
    ),
    Reason.MISSING_VALUE: (
        "a column without which the object can't be written is empty",
        "fill it in the warehouse",
    ),
    Reason.MALFORMED_DOMAIN: ("its domain is none", "correct the row"),
    Reason.SHARED_DOMAIN: (
        "its domain is a host that many companies share, such as `facebook.com/acme`",
        "give the company's own domain; `allow_domains` lets a host pass",
    ),
    Reason.MALFORMED_ID: (
        "an id that is none of Apollo's stands where one belongs",
        "map that column elsewhere",
    ),
    Reason.WRONG_TYPE: (
        "a value of the wrong kind; the detail names the property",
        "cast the column, in a view or by `stream_maps`",
    ),
    Reason.UNKNOWN_NAME: (
        "Apollo has no such owner, stage, option, list or account; the nearest is named",
        "correct the name; `unresolved` and `default_owner` write the row all the same",
    ),
    Reason.UPDATE_NEEDS_ID: (
        "mode update, and nothing tells the record",
        "give `apollo_id` or a key of `match_on`",
    ),
    Reason.IDENTITY_CONFLICT: (
        "two records of Apollo could be its own, or it is taken for a namesake; the detail has "
        "the ids",
        "merge the two in Apollo, or correct the row",
    ),
    Reason.REFUSED: (
        "Apollo refused it; its message is in the rejects file",
        "correct what the message names",
    ),
    Reason.CUSTOM_FIELD_REFUSED: (
        "the record is written, and Apollo left out values of custom fields",
        "correct their type or option",
    ),
    Reason.DELETED: (
        "the record whose id the row names was deleted in Apollo",
        "leave the row out, or take its `apollo_id` away",
    ),
    Reason.GONE: (
        "there is no record of the id that the row names",
        "correct the id, or take it away",
    ),
    Reason.NOT_CONFIRMED: (
        "Apollo's answer does not show it as it was sent, also when it was sent alone",
        "look at that record in Apollo, then replay",
    ),
    Reason.OUTCOME_UNKNOWN: (
        "nothing tells whether Apollo has a record of the row already, so none was made",
        "look for it in Apollo, and put its id into `apollo_id`",
    ),
    Reason.SEQUENCE_NOT_ALLOWED: (
        "its sequence is not in `allow_sequences`",
        "name the sequence there, if people shall get its e-mail",
    ),
    Reason.INACTIVE: (
        "its sequence or mailbox is not active in Apollo",
        "activate it in Apollo",
    ),
    Reason.PROTECTED_STAGE: (
        "its contact is in a stage of `protected_stages` and may get no e-mail",
        "leave the row out, or let a person change the stage",
    ),
    Reason.NOT_ENROLLED: (
        "a guard of Apollo's skips its contact; the detail says which",
        "mend the contact in Apollo, then replay",
    ),
    Reason.ENROLMENT_WAITS: (
        "its contact waits in a queue of Apollo's",
        "nothing: the next run tries again",
    ),
}

#: Exit code -> how the run ended, and whether somebody has to do something.
_EXITS: Mapping[str, tuple[str, str]] = {
    str(OK): ("all went well; rejects are within `max_rejected_percent`", "no"),
    str(FAILED): ("too many rejects, a limit such as `max_creates`, or an error", "yes"),
    str(MISCONFIGURED): (
        "wrong settings, credentials, SCHEMA or ledger, or Apollo refuses the team",
        "yes, unless another run is writing the same stream",
    ),
    str(OUT_OF_QUOTA): ("Apollo's quota is used up", "no: the next run goes on"),
    "128 + signal": ("stopped by that signal", "only if nobody stopped it"),
}


def outcomes_table() -> str:
    """What each outcome means, and what a row with it costs."""
    return table(
        ("outcome", "what became of the row", "what it costs"),
        ((f"`{outcome.value}`", *_OUTCOMES[outcome]) for outcome in Outcome),
    )


def reasons_table() -> str:
    """What each reason of a reject means, and what to do."""
    return table(
        ("reason", "what it means", "what to do"),
        ((f"`{reason.value}`", *_REASONS[reason]) for reason in Reason),
    )


def exits_table() -> str:
    """What each exit code means, and whether somebody has to act."""
    return table(
        ("exit code", "how the run ended", "does somebody have to act?"),
        ((code, *_EXITS[code]) for code in _EXITS),
    )
