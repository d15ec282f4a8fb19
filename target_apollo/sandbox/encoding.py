"""Contacts of a bulk answer as JSON, of which nine tenths are the same for every contact.

An answer is a template with the contact's own keys laid over it, as ``contact_object`` makes it for
one contact. For a hundred of them the keys that stay as the template has them are encoded once for
each set of own keys, and only the own ones every time. Both give the same object, but for the order
of its keys.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from target_apollo.sandbox.records import FREE_DOMAINS, Contact, contact_object, email_object

_encode = msgspec.json.Encoder().encode
_EMAILS = "contact_emails"
# Each set of own keys costs 2 kB; sandboxes that are sent random fields must not grow by it.
_MOST_KEY_SETS = 4096


def _email_pattern() -> bytes:
    varying = ("email_md5", "email_sha256", "email", "free_domain")
    pattern = _encode({**email_object("a@b.example", 0), **dict.fromkeys(varying, "%b")})
    # Digests keep their quotes; the address brings its own, and a truth value has none.
    for name in varying[2:]:
        pattern = pattern.replace(f'"{name}":"%b"'.encode(), f'"{name}":%b'.encode())
    return b',"contact_emails":[' + pattern + b"]"


_EMAIL_PATTERN = _email_pattern()


class ContactTemplate:
    """One shape of answers."""

    def __init__(self, shape: dict[str, Any]) -> None:
        self.shape = shape
        self._rests: dict[tuple[str, ...], bytes] = {}

    def encoded(self, contact: Contact) -> msgspec.Raw:
        """The contact in this shape, to be put into an answer that is encoded later."""
        own = contact.own
        email = own.get("email")
        if not email or contact.emails or _EMAILS in own:
            return msgspec.Raw(_encode(contact_object(contact, self.shape)))
        names = tuple(own)
        rest = self._rests.get(names)
        if rest is None:
            rest = self._rest(names)
        raw = email.encode()
        emails = _EMAIL_PATTERN % (
            hashlib.md5(raw, usedforsecurity=False).hexdigest().encode(),
            hashlib.sha256(raw).hexdigest().encode(),
            _encode(email),
            b"true" if email[email.rfind("@") + 1 :] in FREE_DOMAINS else b"false",
        )
        return msgspec.Raw(b"".join((_encode(own)[:-1], emails, rest)))

    def _rest(self, names: tuple[str, ...]) -> bytes:
        taken = {*names, _EMAILS}
        constant = {key: value for key, value in self.shape.items() if key not in taken}
        if len(self._rests) >= _MOST_KEY_SETS:
            self._rests.clear()
        rest = self._rests[names] = b"," + _encode(constant)[1:]
        return rest
