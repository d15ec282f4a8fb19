"""The rules of a JSON schema, as taps of all ages write them, in a form that can be compiled. Pure.

A schema that compiles stays as it is. In any other one, rules of older drafts are written as those
of draft 2020-12, and a rule that still can't be compiled is left out and named: a tap's mistake in
one column must not cost the stream. Nothing is fetched, from no network and no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
from singer_sdk.exceptions import InvalidRecord

Schema = dict[str, Any]

#: Members with one schema.
_ONE = frozenset(
    {
        *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
        *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
    }
)
#: Members with a list of schemas.
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
#: Members with schemas by name.
_MAPS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
#: Members with schemas that a `$ref` may name.
_DEFINITIONS = ("$defs", "definitions")
#: Members that restrict no record, however they are written; formats are not checked.
_NO_RULES = frozenset(
    {
        *("$anchor", "$comment", "$dynamicAnchor", "$id", "$schema", "$vocabulary", "id"),
        *("contentEncoding", "contentMediaType", "default", "deprecated", "description"),
        *("examples", "format", "readOnly", "title", "writeOnly"),
    }
)
#: Members that refuse more if a schema in them refuses less.
_REVERSED = frozenset({"if", "not", "oneOf"})
#: Members that refuse more without another member.
_DEPENDENT = {
    "patternProperties": ("additionalProperties", "unevaluatedProperties"),
    "prefixItems": ("items", "unevaluatedItems"),
}


@dataclass(frozen=True)
class LeftOut:
    """A rule that is not checked.

    Attributes:
        where: Names of the properties that lead to it, joined by full stops; empty for the record.
        rule: Its name in the schema.
    """

    where: str
    rule: str

    def __str__(self) -> str:
        return f"'{self.rule}' of {self.where or 'the record'}"


@dataclass(frozen=True)
class UsableSchema:
    """A schema that can be compiled, and the rules that had to be left out of it."""

    schema: Schema
    left_out: tuple[LeftOut, ...] = ()


def compiled(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """The validator for a schema.

    Raises:
        ValueError: It is no JSON schema, or refers to something outside itself.
    """
    return jsonschema_rs.validator_for(
        dict(schema), validate_formats=False, retriever=_refuse_to_fetch
    )


def refusal_of(fault: ValueError, schema: Mapping[str, Any]) -> InvalidRecord:
    """Why a validator as `compiled` gives it refuses a record.

    The message shows property and rule, not the value.
    """
    if not isinstance(fault, jsonschema_rs.ValidationError):
        # A value that JSON can't hold, such as a lone surrogate from a stream map.
        return InvalidRecord("the record holds a value that JSON can't carry", {})
    where = _shown_path(fault.instance_path, schema)
    rule = str(fault.schema_path[-1]) if fault.schema_path else "schema"
    what = f"'{where}' breaks" if where else "the record breaks"
    return InvalidRecord(f"{what} the rule '{rule}' of the stream's schema", {})


def _shown_path(path: Sequence[str | int], schema: object) -> str:
    """The path to a value as text; names that the schema lacks may be values and show as ``…``."""
    shown = []
    for step in path:
        inner = (
            schema.get("items" if isinstance(step, int) else "properties")
            if isinstance(schema, dict)
            else None
        )
        if isinstance(step, str):
            inner = inner.get(step) if isinstance(inner, dict) else None
        shown.append("…" if isinstance(step, str) and inner is None else str(step))
        schema = inner
    return ".".join(shown)


def _refuse_to_fetch(address: str) -> Any:
    raise ValueError(address)


def _compiles(schema: Mapping[str, Any]) -> bool:
    try:
        compiled(schema)
    except (ValueError, TypeError):
        return False
    return True


def usable_schema(schema: Mapping[str, Any]) -> UsableSchema:
    """The schema of a stream, or the part of it that can be used.

    Args:
        schema: A schema whose `properties` are an object.
    """
    properties = schema["properties"]
    found = dict(schema)
    writer = _Writer()
    # A record is an object always; taps write even null here.
    kind = found.pop("type", None)
    if kind is not None and kind != "object" and not (isinstance(kind, list) and "object" in kind):
        writer.leave_out("", "type")
    if isinstance(found.get("required"), list):
        # A tap may require columns that it does not send.
        found["required"] = [name for name in found["required"] if _is_in(name, properties)]
    is_plain = all(isinstance(one, dict) for one in properties.values())
    if not (is_plain and not _holds_empty_enum(found) and _compiles(found)):
        found = writer.whole(found)
    return UsableSchema(found, tuple(writer.left_out))


def _is_in(name: object, properties: Mapping[str, Any]) -> bool:
    return isinstance(name, str) and name in properties


def inner_schemas(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas that are directly in a schema."""
    for member, value in schema.items():
        if member in _MAPS and isinstance(value, dict):
            yield from value.values()
        elif (member in _LISTS or member == "items") and isinstance(value, list):
            yield from value
        elif member in _ONE:
            yield value


def _holds_empty_enum(schema: object) -> bool:
    """Whether any rule says that a value must be one of none."""
    return isinstance(schema, dict) and (
        schema.get("enum") == [] or any(map(_holds_empty_enum, inner_schemas(schema)))
    )


class _Writer:
    """Writes a schema anew, without what can't be compiled.

    Attributes:
        left_out: The rules that were left out so far, each once.
    """

    def __init__(self) -> None:
        self.left_out: dict[LeftOut, None] = {}
        self._address = ""

    def leave_out(self, where: str, rule: str) -> None:
        """Notes a rule that is left out."""
        self.left_out[LeftOut(where, rule)] = None

    def whole(self, schema: Schema) -> Schema:
        """A schema of records that compiles; it has the same properties."""
        address = schema.get("$id", schema.get("id"))
        self._address = address.rstrip("#") if isinstance(address, str) else ""
        used = {name: of for name, of in schema.items() if name not in _DEFINITIONS}
        found = self._written(schema if _refers(used) else used, "")
        self._leave_out_dead_references(found, found, "")
        if not _compiles(found):
            self.leave_out("", "properties")
            found = {"properties": {name: {} for name in schema["properties"]}}
        return found

    def _written(self, schema: object, where: str) -> Schema:
        if schema is None or schema is True:
            return {}
        if schema is False:
            # The SDK knows schemas that are objects only.
            return {"not": {}}
        if not isinstance(schema, dict):
            self.leave_out(where, "schema")
            return {}
        found: Schema = {}
        gone = set()
        for member, value in _modern(schema).items():
            if member in _NO_RULES:
                continue
            before = len(self.left_out)
            written = self._member(member, value, where)
            if written is None or (member in _REVERSED and len(self.left_out) > before):
                self.leave_out(where, member)
                gone.add(member)
                continue
            found[member] = written
            if member == "patternProperties" and len(written) < len(value):
                gone.add(member)
        for member in gone:
            for dependent in _DEPENDENT.get(member, ()):
                found.pop(dependent, None)
        return found

    def _member(self, member: str, value: Any, where: str) -> Any:
        """A member of a schema, written anew; None if it can't be used."""
        if member in _MAPS:
            if not isinstance(value, dict):
                return None
            return {
                name: self._written(one, _path(where, member, name))
                for name, one in value.items()
                if member != "patternProperties" or self._is_pattern(name, where)
            }
        if member in _LISTS:
            is_list = isinstance(value, list) and value
            return [self._written(one, where) for one in value] if is_list else None
        if member in _ONE:
            return self._written(value, where) if isinstance(value, (dict, bool)) else None
        if member == "$ref":
            return self._own_reference(value)
        return value if value != [] and _compiles({member: value}) else None

    def _is_pattern(self, text: str, where: str) -> bool:
        usable = _compiles({"pattern": text})
        if not usable:
            self.leave_out(where, "patternProperties")
        return usable

    def _own_reference(self, value: object) -> str | None:
        """A reference into the schema itself; None for any other."""
        if not isinstance(value, str):
            return None
        if self._address and value.startswith(f"{self._address}#"):
            value = value[len(self._address) :]
        return value if value.startswith("#") else None

    def _leave_out_dead_references(self, root: Schema, schema: object, where: str) -> None:
        if not isinstance(schema, dict):
            return
        if "$ref" in schema and not _leads_somewhere(root, schema["$ref"]):
            del schema["$ref"]
            self.leave_out(where, "$ref")
        for member in _MAPS.intersection(schema):
            for name, one in schema[member].items():
                self._leave_out_dead_references(root, one, _path(where, member, name))
        for one in inner_schemas({name: schema[name] for name in schema if name not in _MAPS}):
            self._leave_out_dead_references(root, one, where)


def _path(where: str, member: str, name: str) -> str:
    """The path of a schema in a schema; only properties and definitions have names of their own."""
    step = {"properties": name}.get(member, f"{member}.{name}" if member in _DEFINITIONS else "")
    return ".".join(filter(None, (where, step)))


def _refers(schema: object) -> bool:
    return isinstance(schema, dict) and (
        "$ref" in schema or any(map(_refers, inner_schemas(schema)))
    )


def referred(root: Mapping[str, Any], reference: object) -> object:
    """The schema of a reference into the same document, such as ``#/$defs/name``; else None."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for step in filter(None, unquote(reference[1:]).split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, dict):
            found = found.get(name)
        else:
            return None
    return found


def _leads_somewhere(root: Schema, reference: object) -> bool:
    return isinstance(referred(root, reference), (dict, bool))


def _modern(schema: Schema) -> Schema:
    """A schema with rules of older drafts as draft 2020-12 writes them; not those inside it."""
    found = dict(schema)
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(found.get(exclusive), bool):
            excludes = found.pop(exclusive)
            if excludes and bound in found:
                found[exclusive] = found.pop(bound)
    if isinstance(found.get("items"), list):
        found["prefixItems"] = found.pop("items")
        if "additionalItems" in found:
            found["items"] = found.pop("additionalItems")
    if "divisibleBy" in found:
        found.setdefault("multipleOf", found.pop("divisibleBy"))
    if isinstance(found.get("required"), list):
        found["required"] = _names_once(found["required"])
    kind = found.get("type")
    if kind == "any":
        del found["type"]
    elif isinstance(kind, list) and kind:
        found["type"] = _names_once(["null" if one is None else one for one in kind])
    return found


def _names_once(names: list[Any]) -> list[Any]:
    """Names without a repeated one; other members stay as they are."""
    return [name for place, name in enumerate(names) if name not in names[:place]]
