"""What the ledger notes in the link of a row that was deleted at its source. Pure.

The note takes the place of the link's payload hash. It says where the record was moved, and which
stage it had before, so that the record can be given back if its row returns.

::

    deleted:                          the row is gone, and its record was not moved for it
    deleted:Deleted in CRM            the record was put on this list
    deleted:<stage>                   moved to this stage; its former stage is not known
    deleted:<stage>⏎<former stage>    moved to this stage from that one
    deleted:<place>⏎<former>⏎<place>⏎<former> …
                                      moved more than once, since `on_delete` changed; newest first
    …⏎⏎!<digits>                      the record stayed in a protected stage; the digits are of
                                      the setting `protected_stages` (`digits_of`)
    …⏎⏎?                              the last move is under way, or nobody knows how it ended

Earlier versions wrote the first line only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from target_apollo.ledger import DELETED, payload_hash_of_texts

#: End of the note while a move is under way.
_OPEN = "\n\n?"
#: End of the note on a record that stayed in a protected stage, before `_OPEN`.
_KEPT = re.compile(r"\n\n!([0-9a-f]{12})\Z")
#: Apollo's ids; all other places are names of lists.
_STAGE_ID = re.compile(r"[0-9a-f]{24}")


def digits_of(protected_stages: Sequence[str]) -> str:
    """Digits that stand for the setting `protected_stages` in a note."""
    return payload_hash_of_texts({"protected": sorted(protected_stages)})[:12]


@dataclass(frozen=True)
class Move:
    """One move of a record: to a list by its name, or to a stage by its id.

    Attributes:
        former: Id of the stage that the record had, the place itself if the record was not moved;
            None for a list, or if it is not known.
    """

    place: str
    former: str | None = None

    @property
    def is_to_stage(self) -> bool:
        """Whether the place is a stage."""
        return _STAGE_ID.fullmatch(self.place) is not None


@dataclass(frozen=True)
class DeletionMark:
    """The note on a deleted row.

    Attributes:
        moves: The moves of its record, the newest first.
        is_open: Whether it is not known that Apollo has carried out the last of them.
        kept_under: `digits_of` the protected stages if the record was not moved, since it was in
            one of them; else empty.
    """

    moves: tuple[Move, ...] = ()
    is_open: bool = False
    kept_under: str = ""

    @classmethod
    def of(cls, payload_hash: str | None) -> DeletionMark | None:
        """Reads the payload hash of a link; None if its row was not deleted."""
        if payload_hash is None or not payload_hash.startswith(DELETED):
            return None
        is_open = payload_hash.endswith(_OPEN)
        note = payload_hash.removeprefix(DELETED).removesuffix(_OPEN)
        kept = _KEPT.search(note)
        lines = _KEPT.sub("", note).split("\n")
        pairs = zip_longest(lines[::2], lines[1::2])
        moves = tuple(Move(place, former or None) for place, former in pairs if place)
        return cls(moves, is_open, kept.group(1) if kept else "")

    @property
    def text(self) -> str:
        """The note as it stands in the link."""
        lines = [line for move in self.moves for line in (move.place, move.former or "")]
        kept = f"\n\n!{self.kept_under}" if self.kept_under else ""
        return DELETED + "\n".join(lines).rstrip("\n") + kept + (_OPEN if self.is_open else "")

    def is_at(self, place: str, protected: str) -> bool:
        """Whether nothing is left to do for a move to this place.

        Apollo has confirmed the move; or the record stayed in a protected stage, and the protected
        stages are still the same.

        Args:
            protected: `digits_of` the stages that are protected now.
        """
        if self.is_open or not self.moves or self.moves[0].place != place:
            return False
        return self.kept_under in ("", protected)

    def moved_to(self, place: str, stage: str | None) -> DeletionMark:
        """The note after another move.

        Args:
            stage: The id of the stage that the record had just before; None for a list, or if it is
                not known.
        """
        new = Move(place, stage)
        others = [move for move in self.moves if move.place != place]
        if not new.is_to_stage:
            return DeletionMark((new, *others))
        # A record has one stage. If it still had the one that it was moved to, what counts is the
        # stage from before that; otherwise somebody has changed it since.
        place_before = place if stage is None else stage
        stages = [move for move in self.moves if move.is_to_stage]
        before = next((move for move in stages if move.place == place_before), None)
        if before is not None:
            new = Move(place, before.former)
        lists = [move for move in self.moves if not move.is_to_stage]
        return DeletionMark((new, *lists))

    def left_at(self, place: str, kept_under: str = "") -> DeletionMark:
        """The note on a record that was not moved: it is in the place, or in a protected stage.

        Its stage counts as its own, unless the notes know of an earlier one.

        Args:
            kept_under: `digits_of` the protected stages if it is in one of them.
        """
        newest, *others = self.moved_to(place, None).moves
        if newest.is_to_stage and newest.former is None:
            newest = Move(place, place)
        return DeletionMark((newest, *others), kept_under=kept_under)

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the lists that the record was put on."""
        return tuple(move.place for move in self.moves if not move.is_to_stage)

    @property
    def stage(self) -> Move | None:
        """The last move to a stage."""
        return next((move for move in self.moves if move.is_to_stage), None)


#: The note on a row that is gone and whose record was not moved for it, since others have it.
HELD = DeletionMark()


def is_moved_to(payload_hash: str | None, mark: str, protected: str) -> bool:
    """Whether a link says that its record was moved to the place of a mark without former stage.

    Args:
        protected: As for `DeletionMark.is_at`.
    """
    found, wanted = DeletionMark.of(payload_hash), DeletionMark.of(mark)
    return bool(found and wanted and wanted.moves and found.is_at(wanted.moves[0].place, protected))
