"""The keys of leads, and the setting `always`, whose leads pass whatever the rules say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from target_apollo.mapper.errors import SettingsError
from target_apollo.sync.words import plural

#: The texts of a lead's key values; None for one that is blank or of another type.
KeyParts = tuple[str | None, ...]

#: A key as verdicts show it, such as ``42`` or ``eu,42``; or its values, which may hold commas.
Entry = str | tuple[str, ...]

_LONGEST_NUMBER = 40


def key_text(value: object) -> str | None:
    """One key value as text, such as ``42`` or ``eu-17``; None for blanks and other types.

    ``7.0`` gives ``7``, since one tap writes ``7`` and another ``7.0``.
    """
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # The limit keeps a Decimal such as 1E+999999 from becoming a text of a million digits.
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < _LONGEST_NUMBER:
        whole = value.to_integral_value()
        return str(int(whole)) if value == whole else str(value)
    return str(value)


def joined(key: KeyParts) -> str | None:
    """A key as verdicts show it: its values with commas between them; None for no key."""
    if len(key) == 1:
        return key[0]
    return ",".join([part or "" for part in key]) if any(key) else None


class NamedLeads:
    """The keys in the setting `always`, in their order; false if there are none."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self._entries = tuple(entries)
        self._known = frozenset(entries)

    @classmethod
    def of(cls, written: Sequence[object]) -> NamedLeads:
        """Read the entries of the setting.

        Raises:
            SettingsError: One is neither a text, a number, nor a list of these.
        """
        return cls([_entry(number, entry) for number, entry in enumerate(written, start=1)])

    def __len__(self) -> int:
        """The number of keys."""
        return len(self._known)

    def find(self, key: KeyParts) -> Entry | None:
        """The entry that names the lead with this key; None if there is none."""
        if None not in key and key in self._known:
            return tuple(part or "" for part in key)
        text = joined(key)
        return text if text in self._known else None

    def misfits(self, key_properties: Sequence[str]) -> Iterator[str]:
        """A sentence for each entry that can name no lead with these key properties."""
        wanted = len(key_properties)
        for number, entry in enumerate(self._entries, start=1):
            is_text = isinstance(entry, str)
            values = entry.count(",") + 1 if isinstance(entry, str) else len(entry)
            # The values of a text may hold commas themselves.
            if values < wanted or (values > wanted and not is_text):
                yield (
                    f"entry {number} has {plural(values, 'value')}, and the key "
                    f"({', '.join(key_properties)}) has {wanted}"
                )


def _entry(number: int, written: object) -> Entry:
    if isinstance(written, (list, tuple)):
        parts = [key_text(part) for part in written]
        entry = tuple(part for part in parts if part)
        if entry and len(entry) == len(written):
            return entry
    elif text := key_text(written):
        return text
    raise SettingsError(
        f"Setting always: entry {number} is no key: write it as a text or a number, or a key of "
        "several values as a list of these."
    )
