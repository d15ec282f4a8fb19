"""What Apollo says where it refuses a whole team: `TEAM_REFUSALS`, a table of the words. Pure.

Such a refusal has the status of a wrong value (422) or of a forbidden endpoint (403), and is about
no record: every further request would be refused too. Apollo documents few of the texts, so the
table has patterns. They are looked for in the text without the values of the request
(`words_without_values`): a record may be called "Trial Expired".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from target_apollo.system.shown import may_be_address, printable

#: Statuses whose text is looked at. A 401 ends the run anyway, and a 5xx is tried again.
STATUSES = frozenset({400, 402, 403, 409, 422, 423, 429})
_PAYMENT_REQUIRED = 402
#: In characters. Apollo's texts are shorter; what is longer is a page.
_LONGEST_WORDS = 300
#: In characters. A shorter value would take letters out of words.
_SHORTEST_VALUE = 3
_GAP = "…"
_ID = re.compile(r"\b[0-9a-f]{24}\b")
_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|“[^”]*”")


@dataclass(frozen=True)
class TeamRefusal:
    """A reason for which Apollo refuses all requests of a team.

    Attributes:
        because: The reason, the end of the sentence "Apollo refuses the whole team: …".
        advice: What to do before the next run.
        pattern: How Apollo's text says it, in lower case.
    """

    because: str
    advice: str
    pattern: re.Pattern[str]


_RECORDS = r"(?:contacts?|accounts?|companies|records?|leads?)"
_REACHED = r"(?:reached|exceeded|hit|used up|over)"
_TEAM = r"(?:team|workspace|organi[sz]ation|subscription|(?:your|this|the) (?:apollo )?account)"

TEAM_REFUSALS: tuple[TeamRefusal, ...] = (
    TeamRefusal(
        "its plan has no room for more records",
        "delete records in Apollo or take a larger plan",
        re.compile(
            rf"\blimit of (?:[\d.,]+ |… )?(?:saved |stored )?{_RECORDS}\b"
            rf"|\b{_RECORDS} (?:storage )?(?:limit|quota) (?:has been |is |was )?{_REACHED}\b"
            rf"|\bstorage (?:limit|quota) (?:has been |is |was )?{_REACHED}\b"
            rf"|\b{_REACHED} (?:the |your |its )?(?:maximum |max )?(?:number of )?"
            rf"(?:saved |stored )?(?:{_RECORDS}|storage) (?:storage )?(?:limit|quota|cap)\b"
            rf"|\b(?:maximum|max) number of (?:saved |stored )?{_RECORDS}\b(?! (?:per|in|for)\b)"
        ),
    ),
    TeamRefusal(
        "its credits are used up",
        "buy credits, or wait for the next period of its plan",
        re.compile(
            r"\b(?:out of|not enough|insufficient|no more|no remaining|used up|exhausted|run out of"
            r"|ran out of|don't have enough|do not have enough)\b[^.]{0,30}\bcredits?\b"
            r"|\bcredits? (?:limit |balance )?(?:has been |have been |are |is )?"
            r"(?:used up|exhausted|exceeded|insufficient|reached)\b"
        ),
    ),
    TeamRefusal(
        "its plan or trial has ended, or was not paid",
        "renew or pay the plan in Apollo",
        re.compile(
            r"\b(?:trial|subscription|plan|licen[cs]e)(?: period)? "
            r"(?:has |have |is |was |had )?(?:been )?"
            r"(?:expired|ended|lapsed|cancell?ed|over|past due|inactive|not active|paused)\b"
            r"|\bexpired (?:trial|subscription|plan|licen[cs]e)\b"
            r"|\bpayment (?:is )?(?:required|overdue|past due|failed)\b"
        ),
    ),
    TeamRefusal(
        "it or its user is locked, suspended or deactivated",
        "ask Apollo's support or an administrator of the team",
        re.compile(
            rf"\b(?:{_TEAM}|your user|this user) (?:has been |is |was )(?:currently |temporarily )?"
            r"(?:locked|suspended|deactivated|disabled|blocked|frozen|restricted)\b"
            r"|\b(?:locked|suspended|deactivated) (?:team|workspace|organi[sz]ation|user)\b"
            r"|\b(?:api key|access token)\b[^.]{0,20}\b(?:revoked|deactivated|disabled)\b"
        ),
    ),
)
_UNPAID = TEAM_REFUSALS[2]
#: How Apollo says that the plan lacks an endpoint, which others may take the place of.
_NOT_IN_PLAN = re.compile(
    r"\b(?:paid|free) plans?\b|\bupgrade your plan\b"
    r"|\b(?:not (?:available|included|supported)|only available)\b[^.]{0,40}\bplans?\b"
)


def team_refusal_in(status: int, words: str) -> TeamRefusal | None:
    """The reason for which Apollo refuses the whole team; None if the refusal names none.

    Args:
        words: The result of `words_without_values`.
    """
    if status not in STATUSES:
        return None
    text = words.lower().replace("’", "'")
    found = next((one for one in TEAM_REFUSALS if one.pattern.search(text)), None)
    return _UNPAID if found is None and status == _PAYMENT_REQUIRED else found


def lacks_plan(words: str) -> bool:
    """Whether a refusal says that the team's plan does not have the endpoint."""
    return _NOT_IN_PLAN.search(words.lower()) is not None


def words_without_values(message: str, *sent: object) -> str:
    """Apollo's text in one line, without what it may quote of a record: it may be shown and logged.

    Args:
        sent: The body and the parameters of the request, whose texts are taken out.
    """
    text = " ".join(printable(message.replace("\n", " "))[: 4 * _LONGEST_WORDS].split())
    text = _ID.sub(_GAP, _QUOTED.sub(_GAP, text))
    lowered = text.lower()
    values = {value for part in sent for value in _texts(part) if value.lower() in lowered}
    for value in sorted(values, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _GAP, text, flags=re.IGNORECASE)
    kept = [_GAP if may_be_address(word) else word for word in text.split()]
    return " ".join(kept)[:_LONGEST_WORDS]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if len(value.strip()) >= _SHORTEST_VALUE:
            yield value.strip()
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
