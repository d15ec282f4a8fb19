"""The table of the questions of a probe: what is asked, what the target assumes, what follows.

The names and answers are those of the sandbox's options where it has one, so that what a team's
Apollo does can be set there. `CANNOT_BE_ASKED` has the behaviours that nothing is asked about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from target_apollo.apollo import endpoints as at
from target_apollo.cli.probe import creations, reading, updates
from target_apollo.cli.probe.own_records import LOOKS
from target_apollo.cli.probe.session import Observation, Session

_READ = at.READ_CONTACT
_PATCH = at.UPDATE_CONTACT
_BULK = at.BULK_UPDATE_CONTACTS
_SEARCH = at.SEARCH_CONTACTS
_PUT_CONTACT: Final = "PUT /contacts/{id}"

#: Nothing that a run does depends on the answer.
_NOTHING = "Nothing: a run is right either way."


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        name: The key of its answer in the profile.
        ask: Asks it.
        text: The question, as a sentence.
        assumed: What a run without a profile goes by.
        follows: Answer -> what follows for a run; `_NOTHING` for answers that are not named.
        requests: The most requests that it takes, by endpoint, beside those of `SHARED`.
    """

    name: str
    ask: Callable[[Session], Observation]
    text: str
    assumed: str
    follows: Mapping[str, str]
    requests: Mapping[str, int]

    def consequence(self, answer: str) -> str:
        """What follows from an answer."""
        return self.follows.get(answer, _NOTHING)


#: The most requests that finding, making and putting right the probe's records takes.
SHARED: Final[Mapping[str, int]] = {
    at.USAGE: 1,
    at.PROFILE: 1,
    at.LABELS: 2,
    at.SEARCH_CONTACTS: 2 * len(LOOKS),
    at.SEARCH_ACCOUNTS: len(LOOKS),
    at.CREATE_CONTACTS: 1,
    at.CREATE_ACCOUNTS: 1,
    at.READ_CONTACT: 6,
    at.UPDATE_CONTACT: 3,
    at.UPDATE_CONTACT_OWNERS: 1,
    at.UPDATE_CONTACT_STAGES: 1,
    at.ADD_TO_LISTS: 1,
}

_TOUCHING = {
    at.LABELS: 3,
    at.REMOVE_FROM_LISTS: 1,
    at.CREATE_CONTACTS: 1,
    at.READ_CONTACT: 3,
    at.UPDATE_CONTACT: 1,
    at.ADD_TO_LISTS: 1,
    at.USERS: 1,
    at.UPDATE_CONTACT_OWNERS: 1,
}

#: In the order in which they are asked: those whose creations others rely on come first.
QUESTIONS: Final[tuple[Question, ...]] = (
    Question(
        "unknown_id",
        updates.unknown_id,
        "How is an update refused whose id no record has?",
        "with 422 or 404",
        {},
        {_PATCH: 1},
    ),
    Question(
        "bad_id_names_value",
        updates.bad_id_names_value,
        "Does the refusal of a malformed id name that id?",
        "not always; a refused request is halved until the bad rows are alone",
        {"false": "A refused bulk request costs further requests until the bad row is found."},
        {_READ: 1},
    ),
    Question(
        "alike_in_batch",
        creations.alike_in_batch,
        "What becomes of two equal rows in one creating request?",
        "anything; rows of one key never go out in one request",
        {},
        {},
    ),
    Question(
        "matched_in_bulk",
        creations.matched_in_bulk,
        "What does a creating request with run_dedupe do with a contact that has the address?",
        "it answers it as existing and leaves it unchanged",
        {
            "overwritten": "With the profile, contacts are created in two steps: their keys first, "
            "so that no creation writes over what exists.",
            "duplicated": "With the profile, each new row is looked for in Apollo before it is "
            "created.",
        },
        _TOUCHING,
    ),
    Question(
        "contact_matched_by_name",
        creations.contact_matched_by_name,
        "Is a contact with the same name and company and another address taken for the same?",
        "yes; a match by name alone is never written to",
        {"false": "Namesakes are created, where they would be rejected."},
        {at.CREATE_CONTACTS: 1, _READ: 1, _PATCH: 1},
    ),
    Question(
        "labels_touch_existing",
        creations.labels_touch_existing,
        "Do the lists of a creating request reach records that exist?",
        "perhaps; lists are added by a request of their own",
        {},
        {},
    ),
    Question(
        "owner_touches_existing",
        creations.owner_touches_existing,
        "Does the owner of a creating request reach records that exist?",
        "not that of a row's own record, but perhaps that of a namesake",
        {
            "true": "With the profile, owners are assigned after the creation, so that no record "
            "that only shares a name gets another owner."
        },
        {},
    ),
    Question(
        "bulk_answers",
        creations.bulk_answers,
        "Do bulk answers show whole records?",
        "perhaps; what an answer does not show is asked for where that matters",
        {
            "documented": "Cleared fields take a request a record to confirm, and nothing tells "
            "whether a custom value was stored."
        },
        {},
    ),
    Question(
        "list_counts_late",
        creations.list_counts_late,
        "Does the count of a list lag behind its members?",
        "it may",
        {},
        {},
    ),
    Question(
        "invalid_email",
        creations.invalid_email,
        "What does a creation do with a malformed address?",
        "anything; a row counts as written only if the answer shows its address",
        {},
        {at.CREATE_CONTACTS: 1, _READ: 1},
    ),
    Question(
        "shuffle_answers",
        updates.answer_order,
        "Do bulk answers have another order than the request?",
        "perhaps; answers are told apart by their keys, never by their place",
        {},
        {_BULK: 3},
    ),
    Question(
        "bulk_failure",
        updates.bulk_failure,
        "Is a part of a refused bulk update written?",
        "perhaps; it is sent again in parts",
        {},
        {_BULK: 1, _READ: 1},
    ),
    Question(
        "gone_in_bulk",
        updates.gone_in_bulk,
        "How is a bulk update refused that has an id of no record?",
        "either",
        {},
        {},
    ),
    Question(
        "owners_and_stages_skip_gone",
        updates.owners_and_stages_skip_gone,
        "Does update_owners pass over ids that no record has?",
        "perhaps; only records in the answer count as written",
        {},
        {at.UPDATE_CONTACT_OWNERS: 1},
    ),
    Question(
        "cleared_by",
        updates.cleared_by,
        "Which empty value clears a field?",
        "the empty text, as Apollo documents",
        {
            "null": "With the profile, a run clears fields with null.",
            "neither": "The setting null_policy: clear has no effect on this team; its rows are "
            "rejected as not confirmed.",
        },
        {_PATCH: 5},
    ),
    Question(
        "taken_email",
        updates.taken_email,
        "Does an update take an address that another contact has?",
        "perhaps; nothing relies on a refusal",
        {},
        {_PATCH: 2},
    ),
    Question(
        "single_takes_owner",
        updates.single_takes_owner,
        "Does PATCH of one contact take an owner?",
        "no; owners go by bulk_update",
        {},
        {_PATCH: 1, at.UPDATE_CONTACT_OWNERS: 1, at.USERS: 1},
    ),
    Question(
        "bulk_update_takes_stage",
        updates.bulk_update_takes_stage,
        "Does bulk_update take a stage?",
        "no; stages go by update_stages",
        {},
        {_BULK: 1, _READ: 1, at.CONTACT_STAGES: 1, at.UPDATE_CONTACT_STAGES: 1},
    ),
    Question(
        "put_contacts",
        updates.put_contacts,
        "Is PUT a route for contacts?",
        "a run never uses it",
        {},
        {_PUT_CONTACT: 1, _READ: 1},
    ),
    Question(
        "rewrites_linkedin",
        updates.rewrites_linkedin,
        "Are profile addresses stored in another spelling?",
        "perhaps; they are compared without scheme and www",
        {},
        {_READ: 1},
    ),
    Question(
        "custom_field_errors",
        reading.custom_field_errors,
        "How is a value reported that its custom field does not take?",
        "as an object or a list",
        {"silent": "What Apollo does not store shows only where an answer shows the field."},
        {_PATCH: 2, at.FIELDS: 1, at.TYPED_CUSTOM_FIELDS: 1},
    ),
    Question(
        "custom_values_must_be_strings",
        reading.custom_values_must_be_strings,
        "Must the values of custom fields be text?",
        "yes; a run sends nothing else",
        {},
        {_PATCH: 2},
    ),
    Question(
        "options_shown",
        reading.options_shown,
        "How are several options of one custom field shown?",
        "either, as text or as an array",
        {},
        {_PATCH: 2},
    ),
    Question(
        "search_lag_seconds",
        reading.search_lag,
        "How long does a search take to show a change?",
        "unknown; a miss proves nothing",
        {"long": "Rows of a killed run are found again only some time later."},
        {_PATCH: 2, _READ: 1, _SEARCH: len(LOOKS)},
    ),
    Question(
        "keyword_search",
        reading.keyword_search,
        "Does a search by an address find the contact?",
        "perhaps; hits are compared exactly, and a miss proves nothing",
        {
            "nothing": "With the profile, rows are looked for by reading all contacts, a hundred a "
            "request."
        },
        {_SEARCH: 2 * len(LOOKS) + 1},
    ),
    Question(
        "accounts_matched_in_bulk",
        creations.accounts_matched_in_bulk,
        "What does a creating request with run_dedupe do with an account that has the domain?",
        "it answers it as existing and leaves it unchanged",
        {
            "overwritten": "With the profile, accounts are created in two steps.",
            "duplicated": "With the profile, each new row is looked for in Apollo before it is "
            "created.",
        },
        {at.CREATE_ACCOUNTS: 1, at.READ_ACCOUNT: 1, at.PATCH_ACCOUNT: 1, at.PUT_ACCOUNT: 1},
    ),
    Question(
        "account_matched_by_name",
        creations.account_matched_by_name,
        "Is an account with the same name and another domain taken for the same?",
        "yes; a match by name alone is never written to",
        {"false": "Firms of one name are created, where they would be rejected."},
        {at.CREATE_ACCOUNTS: 1, at.READ_ACCOUNT: 1, at.PATCH_ACCOUNT: 1, at.PUT_ACCOUNT: 1},
    ),
    Question(
        "patch_accounts",
        updates.patch_accounts,
        "Is PATCH a route for accounts?",
        "yes; PUT is tried where it is refused",
        {
            "not_found": "With the profile, a run begins with PUT.",
            "not_allowed": "With the profile, a run begins with PUT.",
        },
        {at.PATCH_ACCOUNT: 1},
    ),
    Question(
        "put_accounts",
        updates.put_accounts,
        "Is PUT a route for accounts?",
        "perhaps not; it is tried where PATCH is refused",
        {},
        {at.PUT_ACCOUNT: 1},
    ),
    Question(
        "gzip_answers",
        reading.gzip_answers,
        "Are long answers compressed?",
        "yes, where the client accepts it",
        {},
        {_READ: 1},
    ),
    Question(
        "rate_headers",
        reading.rate_headers,
        "Do answers have the documented headers with the rate limits?",
        "yes; without them a run waits where it is refused",
        {"missing": "A run learns of a limit by the refusal at it."},
        {_READ: 1},
    ),
)

_MAKES_A_DEAL = "asking would make a deal, which no API deletes"
_ENROLS = "asking would enrol a contact into a sequence, and a probe enrols nobody"
_NEEDS_A_429 = "asking would mean to use up a rate limit"

#: Option of the sandbox -> why no question is about it.
CANNOT_BE_ASKED: Final[Mapping[str, str]] = {
    "bulk_update_limit": "asking would take a thousand records",
    "unsorted_moves": "asking would take more records than a page has",
    "fills_company": "Apollo knows no company for an address that a probe may use",
    "retry_after": _NEEDS_A_429,
    "server_error_html": "asking would mean to make Apollo fail",
    "max_contacts": "asking would mean to fill the team's plan",
    "full_plan": "asking would mean to fill the team's plan",
    "decimal_amounts": _MAKES_A_DEAL,
    "removed_may_rejoin": _ENROLS,
    "stops_by_job": _ENROLS,
    "bulk_tasks_skip_gone": "asking might make a task, which no API deletes",
    "access_token_seconds": "Apollo tells it with each token",
}
#: What the sandbox has no option for, and no question is about.
ALSO_NOT_ASKED: Final[Mapping[str, str]] = {
    "matching by linkedin_url": "Apollo documents no match by it, so that asking would make one "
    "more record",
}


def price(questions: Iterable[Question] = QUESTIONS) -> dict[str, int]:
    """The most requests of a probe, by endpoint."""
    total = Counter(dict(SHARED))
    for question in questions:
        total.update(question.requests)
    return dict(sorted(total.items()))
