"""The deal, which Apollo calls an opportunity: its columns and fields. Pure.

Apollo recognises no deal: two requests make two. So each deal gets a text in a custom field that
tells which row it is of (`row_marks`), and the ledger has its id. Exactly once: before a deal is
made that the ledger does not know, one pass through Apollo's deals looks for that text. What can't
be told is rejected or left for the next run, never made twice.
"""

from __future__ import annotations

from target_apollo.model import times, values
from target_apollo.model.objects.object_type import Compare, Field
from target_apollo.model.objects.stream_object import APOLLO_ID, Column, StreamObject, columns
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.rows import RECORD_MODES

NAME, AMOUNT, CLOSED_DATE, STAGE_ID, OWNER_ID, ACCOUNT_ID = (
    "name",
    "amount",
    "closed_date",
    "opportunity_stage_id",
    "owner_id",
    "account_id",
)
DEAL_STAGE = "deal_stage"


def _amount(name: str, value: object) -> str | None:
    """An amount in plain digits, of which Apollo blanks any other spelling without a word."""
    written = values.number(name, value)
    if written is not None and written.startswith("-"):
        raise RecordError(
            Reason.WRONG_TYPE,
            f"'{name}' is negative, and Apollo takes plain digits only: it would leave the amount "
            "blank; send the deal without an amount",
        )
    return written


_FIELDS = (
    Field(NAME, create=NAME, update=NAME, read=NAME),
    Field(AMOUNT, create=AMOUNT, update=AMOUNT, read=AMOUNT, compare=Compare.NUMBER),
    Field(
        CLOSED_DATE,
        create=CLOSED_DATE,
        update=CLOSED_DATE,
        read=CLOSED_DATE,
        compare=Compare.DATE,
    ),
    Field(STAGE_ID, create=STAGE_ID, update=STAGE_ID, read=STAGE_ID, normalise=values.apollo_id),
    Field(OWNER_ID, create=OWNER_ID, update=OWNER_ID, read=OWNER_ID, normalise=values.apollo_id),
    # Apollo documents no way to move a deal to another account.
    Field(ACCOUNT_ID, create=ACCOUNT_ID, read=ACCOUNT_ID, normalise=values.apollo_id),
)

DEAL = StreamObject(
    name="deals",
    singular="deal",
    columns=columns(
        Column(NAME),
        Column(AMOUNT, _amount),
        Column(CLOSED_DATE, times.date),
        Column(DEAL_STAGE),
        Column(STAGE_ID, values.apollo_id),
        Column("owner_email"),
        Column(OWNER_ID, values.apollo_id),
        Column("account_domain"),
        Column(ACCOUNT_ID, values.apollo_id),
        Column(APOLLO_ID, values.apollo_id),
    ),
    modes=RECORD_MODES,
    fields={field.name: field for field in _FIELDS},
    named_fields={DEAL_STAGE: STAGE_ID, "owner_email": OWNER_ID, "account_domain": ACCOUNT_ID},
    modality="opportunity",
    needed_field=NAME,
    clearable=frozenset({AMOUNT, CLOSED_DATE}),
)
