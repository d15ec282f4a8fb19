"""Settings that name a stream or a property of which none came: most often a misspelled name. Pure.

A run goes on without such an entry, and so otherwise than was meant: in another mode, or with nulls
that clear what they should not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from target_apollo.config.settings import Settings


def unmet_settings(
    settings: Settings, streams: Collection[str], properties: Iterable[Mapping[str, object]]
) -> list[str]:
    """A sentence for each entry that no stream or property of the run has met.

    Args:
        streams: Names of the streams that came.
        properties: Those of their schemas.
    """
    met = {settings.pattern_of(stream) for stream in streams}
    there = {name for of_stream in properties for name in of_stream}
    return [
        *(
            f"The entry '{pattern}' of the setting 'streams' was used for no stream of this run "
            f"({', '.join(sorted(streams))}): its name is misspelled, the stream is not selected, "
            "or an earlier entry fits it too. Rows went on as if it were not there."
            for pattern in settings.streams
            if pattern not in met
        ),
        *(
            f"The entry '{name}' of the setting 'null_policy_per_field' names a property that no "
            "stream of this run has: mend its name, or leave it out."
            for name in settings.null_policy_per_field
            if name not in there
        ),
    ]
