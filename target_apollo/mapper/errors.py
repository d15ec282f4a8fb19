"""The errors that end a run of the mapper.

::

    LeadsError
    ├── SettingsError   a setting is wrong, or does not fit the stream   exit code 2
    └── InputError      a message of the tap, or a file, is wrong        exit code 1

Each message is a sentence for the user. No message holds a value of a record; it may name a stream,
a property or a rule.
"""

from __future__ import annotations


class LeadsError(Exception):
    """The run can't go on; the message says why and what to do."""

    exit_code = 1


class SettingsError(LeadsError):
    """A setting is wrong, or does not fit the stream that it is applied to."""

    exit_code = 2


class InputError(LeadsError):
    """A message of the tap, or a file that the mapper needs, can't be used."""
