"""Values that cost a request for each record: which of them a record is known to hold. Pure.

Some fields are only taken by PATCH or PUT, and some policies need the record's present values. The
link of a row keeps a digest of each such value. One that has not changed since is neither sent nor
asked for, so a changed row costs requests for its changed values only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace as with_values

from target_apollo.model.compare import to_update
from target_apollo.model.match_keys import CUSTOM, is_address, kind_of
from target_apollo.model.objects.registry import Field, ObjectType
from target_apollo.model.policies import NEEDING_THE_RECORD, Policies
from target_apollo.model.rows import Row

_BETWEEN, _IS = ";", "="
#: JSON in ASCII, since a lone surrogate has no UTF-8 form.
_json = json.JSONEncoder().encode
#: In bytes; by chance, one in 10^14 changed values has the digest of the former one.
_DIGEST_SIZE = 6


@dataclass(frozen=True)
class SingleValues:
    """Finds the values of rows that cost a request for each record, for rows of one stream.

    Attributes:
        names: Fields whose values are such.
        keys: Such a field -> its name in PATCH, or its own name if it has none.
    """

    object_type: ObjectType
    policies: Policies
    names: frozenset[str] = field(init=False, repr=False)
    keys: Mapping[str, str] = field(init=False, repr=False)
    #: Such a field -> the beginning of what is digested of its value.
    _starts: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        fields = self.object_type.fields
        # The e-mail or domain is not among them: the link has its hash already.
        names = frozenset(name for name, place in fields.items() if self._is_single(place))
        names -= {self.object_type.match_field}
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "keys", {name: fields[name].update or name for name in names})
        starts = {name: _start_of(self.policies.of(name).value) for name in names}
        object.__setattr__(self, "_starts", starts)

    def digests(self, row: Row) -> str | None:
        """The digests of these values of a row, as its link keeps them; None if it has none.

        A name is that of the field in PATCH, since two fields may share one.
        """
        names = self.names.intersection(row.values)
        custom = self._custom(row) if row.custom else []
        if not names and not custom:
            return None
        if row.match_key and not is_address(row.match_key):
            # The row is recognised by this field.
            kind = kind_of(self.object_type, row.match_key)
            names -= {kind}
            custom = [one for one in custom if one != kind.removeprefix(CUSTOM)]
        written = to_update(row.values)
        parts = {
            self.keys[name]: _digest_of(self._starts[name], written[name])
            for name in names
            if name in written
        }
        parts |= {field_id: self._custom_digest(field_id, row) for field_id in custom}
        return _BETWEEN.join([f"{name}{_IS}{parts[name]}" for name in sorted(parts)]) or None

    def without(self, row: Row, held: Collection[str]) -> Row:
        """A row without the values that its record holds.

        Args:
            held: Their names, from `held_in`.
        """
        return with_values(
            row,
            values={
                name: value
                for name, value in row.values.items()
                if name not in self.names or self.keys[name] not in held
            },
            custom={name: value for name, value in row.custom.items() if name not in held},
        )

    def _is_single(self, place: Field) -> bool:
        if self.policies.of(place.name) in NEEDING_THE_RECORD:
            return True
        return bool(place.update) and not place.bulk and not place.grouped

    def _custom(self, row: Row) -> list[str]:
        return [one for one in row.custom if self.policies.of_custom(one) in NEEDING_THE_RECORD]

    def _custom_digest(self, field_id: str, row: Row) -> str:
        start = _start_of(self.policies.of_custom(field_id).value)
        return _digest_of(start, row.custom[field_id])


def held_in(digests: str, known: str) -> frozenset[str]:
    """Names of the values that are the same in a row's digests and in those of its link."""
    return frozenset(name for name, _ in _parts(digests).items() & _parts(known).items())


def only(digests: str, names: Collection[str]) -> str | None:
    """The digests of the values with these names; None if there are none."""
    left = [f"{name}{_IS}{part}" for name, part in _parts(digests).items() if name in names]
    return _BETWEEN.join(left) or None


def other_than(digests: str, names: Collection[str]) -> str | None:
    """The digests of the values with other names; None if there are none."""
    return only(digests, _parts(digests).keys() - set(names))


def by_name(digests: str | None, names: Collection[str]) -> dict[str, str]:
    """Name -> digest, of the values with these names."""
    return {name: part for name, part in _parts(digests or "").items() if name in names}


def _parts(digests: str) -> dict[str, str]:
    return dict(part.split(_IS, 1) for part in digests.split(_BETWEEN) if _IS in part)


def _start_of(policy: str) -> str:
    return f"[{_json(policy)}, "


def _digest_of(start: str, value: str | None) -> str:
    """The digest of policy and value, as the JSON array of both."""
    text = f"{start}{_json(value)}]"
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_SIZE).hexdigest()
