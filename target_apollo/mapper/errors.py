"""What can end a run of the mapper, by whom it must be mended.

::

    LeadsError
    ├── SettingsError   a setting, or a setting that does not fit the stream   exit code 2
    └── InputError      the tap's messages, or a file                         exit code 1

Each message is a sentence for that person. None holds a record or a value of one, except the name
of a stream, a property or a rule.
"""

from __future__ import annotations


class LeadsError(Exception):
    """The run can't go on; the message says why and what to do."""

    exit_code = 1


class SettingsError(LeadsError):
    """A setting is wrong, or does not fit the stream that it is applied to."""

    exit_code = 2


class InputError(LeadsError):
    """What the tap wrote, or a file that the mapper needs, can't be used."""
