"""What a run says at its end: streams and names that it left out, settings without effect. Pure.

A setting without effect is most often a misspelled name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from target_apollo.config.settings import Settings
from target_apollo.model.objects.registry import BY_EMAIL
from target_apollo.model.texts.spelling import letters_of, nearest_name
from target_apollo.sync.words import plural
from target_apollo.system.shown import name_shown


def left_out_sentences(left_out: Mapping[str, int]) -> list[str]:
    """A sentence for each stream that the setting `streams` leaves out.

    Args:
        left_out: Stream -> number of its records.
    """
    return [
        f"{plural(count, 'record')} of stream '{name_shown(stream)}' "
        f"{'was' if count == 1 else 'were'} skipped: the setting 'streams' leaves it out (false)."
        for stream, count in sorted(left_out.items())
        if count
    ]


def unresolved_names(
    found: Mapping[str, Mapping[str, int]], default_owner: str | None
) -> list[str]:
    """A sentence for each property with names that Apollo does not know and that were left out.

    Args:
        found: Stream -> property -> number of rows.
        default_owner: The setting.
    """
    return [
        _unresolved(stream, name, plural(count, "row"), default_owner)
        for stream, names in sorted(found.items())
        for name, count in sorted(names.items())
    ]


def _unresolved(stream: str, name: str, rows: str, default_owner: str | None) -> str:
    if name == "owner_email" and default_owner:
        return (
            f"Stream '{stream}': what stands in '{name}' is nobody in the team in {rows}; they "
            "have the owner of the setting default_owner until it is."
        )
    if name == BY_EMAIL:
        return (
            f"Stream '{stream}': Apollo has no account of the company in {rows} by their address "
            "(link_by_email_domain); they get the link once it has."
        )
    return (
        f"Stream '{stream}': what stands in '{name}' is unknown to Apollo in {rows}; they are "
        "written without it (unresolved), and get it once Apollo knows it."
    )


def unused_settings(
    settings: Settings, streams: Collection[str], properties: Iterable[Mapping[str, object]]
) -> list[str]:
    """A sentence for each entry with a stream or property that did not occur in the run.

    Such an entry has no effect, so the run may do what its user did not intend: write in another
    mode, or clear values for nulls.

    Args:
        streams: Names of the streams in the input.
        properties: The properties of their schemas.
    """
    used = {settings.pattern_of(stream) for stream in streams}
    names = {name: None for of_stream in properties for name in of_stream}
    existing = {letters_of(name) for name in names}
    return [
        *(_unused_entry(settings, one, streams) for one in settings.streams if one not in used),
        *(
            f"The entry '{name}' of the setting '{setting}' names a property that no "
            f"stream of this run has{_meant(name, names)}: mend its name, or leave it out."
            for setting, given in (
                ("null_policy_per_field", settings.null_policy_per_field),
                ("unresolved", settings.unresolved),
            )
            for name in given
            if letters_of(name) not in existing
        ),
    ]


def _unused_entry(settings: Settings, pattern: str, streams: Collection[str]) -> str:
    before = settings.entry_before(pattern)
    if before is not None:
        return hidden_entry(pattern, before)
    return (
        f"The entry '{pattern}' of the setting 'streams' was used for no stream of this run "
        f"({', '.join(sorted(streams))}){_meant(pattern, streams)}: its name is misspelled, or the "
        "stream is not selected. Rows went on as if it were not there."
    )


def hidden_entry(pattern: str, before: str) -> str:
    """The sentence for an entry of the setting `streams` that an earlier one leaves nothing to."""
    return (
        f"The entry '{pattern}' of the setting 'streams' has no effect: the entry '{before}' "
        "before it fits the same streams, and the first one counts. Put it before that."
    )


def _meant(name: str, known: Iterable[str]) -> str:
    near = nearest_name(name, known)
    return "" if near is None else f" (did you mean '{near}'?)"
