"""Bodies of successful answers, checked against what Apollo documents, and their custom fields.

A 200 with any other body does not confirm the request: it raises AnswerLost and never counts as an
empty success.

Custom fields come from two endpoints. GET /fields has all of them, with the modality in front of
their ids ("contact.<hex>"). Apollo accepts a write with such an id and drops the value, so this
module returns the id alone. Only the older GET /typed_custom_fields has the options of picklists.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from target_apollo.apollo.errors import AnswerLost, JobStarted
from target_apollo.apollo.models import CustomField

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_apollo.apollo.decoding import JSON
    from target_apollo.apollo.transport import Answer


class CheckedBody:
    """The body of one endpoint's answer, read by the names that Apollo documents for it.

    Every method raises AnswerLost, with a reason that starts with "not confirmed", where the body
    has another shape.
    """

    def __init__(self, endpoint: str, answer: Answer) -> None:
        self._endpoint = endpoint
        self._answer = answer

    @property
    def attempts(self) -> int:
        """How many tries the request took."""
        return self._answer.attempts

    def lost(self, what: str) -> AnswerLost:
        """Return the error for an answer that does not confirm the request."""
        return AnswerLost(
            self._endpoint, reason=f"not confirmed: {what}", attempts=self._answer.attempts
        )

    def whole(self) -> JSON:
        """Return the body, which must be a JSON object."""
        body = self._answer.body
        if not isinstance(body, dict):
            raise self.lost("the answer is no object")
        return body

    def record(self, name: str, record_id: str) -> JSON:
        """Return the object called `name`, which must have the id `record_id`."""
        record = self.whole().get(name)
        if not isinstance(record, dict):
            raise self.lost(f'the answer has no object "{name}"')
        if record.get("id") != record_id:
            raise self.lost("the answer is about another record")
        return record

    def records(self, name: str) -> list[JSON]:
        """Return the list called `name`, which must hold objects with an id.

        Raises:
            JobStarted: Apollo does the work in a background job instead.
        """
        body = self.whole()
        if name not in body and "entity_progress_job" in body:
            raise JobStarted(
                self._endpoint,
                reason="not confirmed: Apollo answered with a background job",
                attempts=self._answer.attempts,
            )
        return self._objects(body.get(name), f'list "{name}"')

    def bare_records(self) -> list[JSON]:
        """Return the body, which must be a list of objects with an id."""
        return self._objects(self._answer.body, "list")

    def text(self, source: JSON, name: str) -> str:
        """Return the string called `name`, which must be in `source`."""
        value = source.get(name)
        if not isinstance(value, str):
            raise self.lost(f'the answer has no text "{name}" where one belongs')
        return value

    def number(self, source: Any, name: str) -> int:
        """Return the whole number called `name`; Apollo sends some as text ("page": "1")."""
        value = source.get(name) if isinstance(source, dict) else None
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self.lost(f'the answer has no number "{name}" where one belongs')

    def _objects(self, value: object, what: str) -> list[JSON]:
        if not isinstance(value, list):
            raise self.lost(f"the answer has no {what}")
        if not all(isinstance(item, dict) and isinstance(item.get("id"), str) for item in value):
            raise self.lost(f"the answer's {what} holds something without an id")
        return value


_APOLLO_ID = re.compile(r"[0-9a-f]{24}")

_PICKLISTS = {"picklist", "multipicklist", "multi_select"}

Options = dict[str, str]


def read_custom_fields(answer: CheckedBody) -> list[CustomField]:
    """Read the answer of GET /fields?source=custom, which lacks the options of picklists."""
    return [
        CustomField(
            id=_bare(field),
            label=answer.text(field, "label"),
            modality=answer.text(field, "modality"),
            type=answer.text(field, "type"),
        )
        for field in answer.records("fields")
        # Filtered here too, since Apollo ignores query parameters that it does not know.
        if field.get("source", "custom") == "custom" and _APOLLO_ID.fullmatch(_bare(field))
    ]


def has_picklist(fields: Sequence[CustomField]) -> bool:
    """Return whether any field has options to choose from."""
    return any(field.type in _PICKLISTS for field in fields)


def read_picklist_options(answer: CheckedBody) -> dict[str, Options]:
    """Read the answer of GET /typed_custom_fields: field id -> option name -> option id."""
    return {
        _bare(field): {
            answer.text(option, "name"): answer.text(option, "id")
            for option in field.get("picklist_values") or []
            if isinstance(option, dict)
        }
        for field in answer.records("typed_custom_fields")
    }


def with_options(
    fields: Sequence[CustomField], options: Mapping[str, Options]
) -> list[CustomField]:
    """Return the fields with their options; `options` is field id -> option name -> option id."""
    return [
        CustomField(field.id, field.label, field.modality, field.type, options.get(field.id, {}))
        for field in fields
    ]


def _bare(field: JSON) -> str:
    return str(field["id"]).rpartition(".")[2]
