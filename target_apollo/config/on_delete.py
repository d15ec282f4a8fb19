"""What becomes of a record whose row was deleted at the source. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OnDelete:
    """The setting `on_delete`; neither stage nor list where deletions are ignored.

    Attributes:
        stage: Name of the stage that the record is moved to.
        list_name: Name of the list that it is added to.
    """

    stage: str | None = None
    list_name: str | None = None

    @classmethod
    def of(cls, written: str) -> OnDelete:
        """Reads the setting.

        Raises:
            ValueError: It is none of the forms; the message is a sentence.
        """
        kind, _, name = written.partition(":")
        if written == "ignore":
            return cls()
        if kind == "stage" and name.strip():
            return cls(stage=name.strip())
        if kind == "list" and name.strip():
            return cls(list_name=name.strip())
        raise ValueError(
            "The setting 'on_delete' must be 'ignore', 'stage:' with the name of a stage, or "
            "'list:' with the name of a list."
        )

    def __bool__(self) -> bool:
        return bool(self.stage or self.list_name)
