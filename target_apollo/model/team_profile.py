"""What `apollo-sync probe` has found out about a team's Apollo, for the runs that follow. Pure.

Apollo's documents leave behaviours open, and a run is right under any of them. With a profile a run
begins with what the team's Apollo does, in place of finding it out by requests, or of staying on
the safe side. Answers are words, by the names of the questions; a question that was not asked has
none, and then a run behaves as without a profile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

#: The format that this release writes, and the newest that it reads.
FORMAT: Final = 1
DEFAULT_PATH: Final = ".target-apollo/profile.json"

YES: Final = "true"

#: Answers of `matched_in_bulk` and `accounts_matched_in_bulk`.
OVERWRITTEN: Final = "overwritten"
DUPLICATED: Final = "duplicated"

_DIGITS = 16


class ProfileUnusable(Exception):
    """A profile can't be read; the text goes on after "The profile … "."""


@dataclass(frozen=True)
class TeamProfile:
    """The answers that a team's Apollo has given.

    Attributes:
        team: A digest of the team's id (`team_digest`).
        host: Host and port of the API.
        asked_at: When, as ISO 8601 in UTC.
        version: The release that asked.
        answers: Question -> answer.
    """

    team: str = ""
    host: str = ""
    asked_at: str = ""
    version: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)

    def is_of(self, connection: str, api_url: str) -> bool:
        """Whether the profile is of this team, at this address."""
        return self.team == team_digest(connection) and self.host == host_of(api_url)

    def overwrites_matched(self, plural: str) -> bool:
        """Whether bulk_create writes over records of an object that exist."""
        return self._matched(plural) == OVERWRITTEN

    def duplicates_matched(self, plural: str) -> bool:
        """Whether bulk_create makes a second record of what exists."""
        return self._matched(plural) == DUPLICATED

    def _matched(self, plural: str) -> str | None:
        name = "matched_in_bulk" if plural == "contacts" else f"{plural}_matched_in_bulk"
        return self.answers.get(name)

    @property
    def owner_reaches_existing(self) -> bool:
        """Whether the owner of a bulk_create reaches contacts that exist."""
        return self.answers.get("owner_touches_existing") == YES

    @property
    def puts_accounts(self) -> bool:
        """Whether an account is updated by PUT, since PATCH is no route."""
        refused = self.answers.get("patch_accounts") in ("not_found", "not_allowed")
        return refused and self.answers.get("put_accounts") == "accepted"

    @property
    def clears_with_null(self) -> bool:
        """Whether null empties a field, and the empty text that Apollo documents does not."""
        return self.answers.get("cleared_by") == "null"

    @property
    def finds_no_words(self) -> bool:
        """Whether a search by words finds no contact, although it is there."""
        return self.answers.get("keyword_search") == "nothing"

    def as_text(self) -> str:
        """The profile as the text of its file."""
        value = {
            "format": FORMAT,
            "team": self.team,
            "host": self.host,
            "asked_at": self.asked_at,
            "version": self.version,
            "answers": dict(sorted(self.answers.items())),
        }
        return json.dumps(value, indent=2) + "\n"


#: No answer at all: a run behaves as without a profile.
NO_PROFILE: Final = TeamProfile()


def read_profile(text: str) -> TeamProfile:
    """The profile in the text of a file.

    Raises:
        ProfileUnusable: It is broken, or of a newer release.
    """
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ProfileUnusable("is no JSON") from None
    if not isinstance(value, dict):
        raise ProfileUnusable("is no JSON object")
    written_as = value.get("format")
    if not isinstance(written_as, int) or isinstance(written_as, bool) or written_as < 1:
        raise ProfileUnusable("does not tell its format")
    if written_as > FORMAT:
        raise ProfileUnusable(f"has format {written_as}, which a newer release writes")
    texts = [value.get(name) for name in ("team", "host", "asked_at", "version")]
    answers = value.get("answers")
    if not all(isinstance(text, str) for text in texts) or not isinstance(answers, dict):
        raise ProfileUnusable("lacks a part")
    if not all(isinstance(answer, str) for answer in answers.values()):
        raise ProfileUnusable("has an answer that is no text")
    team, host, asked_at, version = (str(text) for text in texts)
    return TeamProfile(team, host, asked_at, version, answers)


def team_digest(connection: str) -> str:
    """What stands for a team in a profile, so that the file does not tell its id."""
    return hashlib.sha256(f"target-apollo profile\0{connection}".encode()).hexdigest()[:_DIGITS]


def host_of(api_url: str) -> str:
    """Host and port of an address."""
    return urlsplit(api_url).netloc.rpartition("@")[2].lower()
