"""Compares the name in a row with the name of a record in Apollo. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.sync.identity.verdicts import Name

_WORD = re.compile(r"[^\W_]+")
#: Legal forms, which companies with different names share.
_FORMS = frozenset(
    [
        "ab",
        "ag",
        "as",
        "bv",
        "co",
        "company",
        "corp",
        "corporation",
        "group",
        "gmbh",
        "holding",
        "holdings",
        "inc",
        "incorporated",
        "kg",
        "limited",
        "llc",
        "llp",
        "ltd",
        "nv",
        "oy",
        "plc",
        "pty",
        "sa",
        "sarl",
        "sas",
        "sl",
        "spa",
        "srl",
        "the",
    ]
)


def compare_names(object_type: ObjectType, row: Row, record: Json) -> Name:
    """Whether row and record share a word of their names; legal forms and accents do not count.

    A person who marries keeps the first name, and a renamed company often keeps a part of its name,
    so one shared word is enough. Without a name in one of them the result is `Name.UNKNOWN`.
    """
    of_row, of_record = _words(object_type, row.values), _words(object_type, record)
    if not of_row or not of_record:
        return Name.UNKNOWN
    return Name.SAME if of_row & of_record else Name.OTHER


def _words(object_type: ObjectType, values: Mapping[str, object]) -> set[str]:
    names = ("name",) if "name" in object_type.fields else ("first_name", "last_name")
    written = " ".join(str(values.get(name) or "") for name in names)
    words = set(_WORD.findall(_folded(written)))
    return words - _FORMS or words


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))
