"""The counts of a run's enrolments into sequences, and the sentences of a plan on them. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from target_apollo.sync.words import plural
from target_apollo.system.shown import name_shown


@dataclass
class EnrolmentCounts:
    """What became of the members of sequences, by the sequence's name.

    Attributes:
        enrolled: Contacts by the id of the mailbox from which they get e-mail.
        already_in: Rows whose contacts were in the sequence before.
        left: Contacts that were finished or taken out.
    """

    enrolled: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    already_in: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    @property
    def summary(self) -> dict[str, Any]:
        """The counts as the summary has them."""
        names = sorted({*self.enrolled, *self.already_in, *self.left})
        return {
            name: {
                "enrolled": dict(+self.enrolled.get(name, Counter())),
                "already_in": self.already_in[name],
                "left": self.left[name],
            }
            for name in names
        }


def enrolment_sentences(found: Mapping[str, Any]) -> list[str]:
    """Sentences of a plan on whom a run would enrol into which sequence.

    Args:
        found: As in the summary.
    """
    sentences = []
    for name, counts in found.items():
        sequence = f"sequence '{name_shown(name)}'"
        sentences += [
            f"{plural(number, 'contact')} would be enrolled into {sequence} from mailbox "
            f"{name_shown(mailbox)}, and get its e-mail."
            for mailbox, number in counts["enrolled"].items()
        ]
        if counts["already_in"]:
            sentences.append(
                f"{plural(counts['already_in'], 'row')} of {sequence} would change nothing: the "
                "contact was enrolled before."
            )
        if counts["left"]:
            sentences.append(
                f"{plural(counts['left'], 'contact')} would leave {sequence}, since the row is "
                "gone (sequence_exit)."
            )
    return sentences
