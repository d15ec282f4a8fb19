"""Notices that a run logs once, not for each record that causes them.

At its end a run also lists settings without effect, which are most often misspelled names.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from target_apollo.apollo import EndpointForbidden
from target_apollo.config.settings import Settings
from target_apollo.model.objects.registry import BY_EMAIL, OBJECTS, ObjectKind
from target_apollo.model.texts.spelling import letters_of, nearest_name
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.deletions.whole_tables import Doubt
from target_apollo.sync.exit import RunError
from target_apollo.sync.rejects.rejects_file import UNREADABLE_STREAM
from target_apollo.sync.words import listed, plural
from target_apollo.system.shown import name_shown

#: Doubt -> why missing rows are not known, though the tap has said that it sends a whole table.
_NOT_WHOLE = {
    Doubt.NOT_ALL_SAID: "its rows also come from '{source}', which was not",
    Doubt.OTHER_VERSION: "rows of '{source}' have another version than the tap called active",
    Doubt.CUT_OFF: "neither STATE nor a version came after the last row of '{source}', as if the "
    "tap had been cut off",
}

#: Most keys of rows that a notice lists.
_LISTED_KEYS = 20


class Notices:
    """The notices of one run."""

    def __init__(self, settings: Settings, counts: RunCounts, logger: logging.Logger) -> None:
        self._settings = settings
        self._counts = counts
        self._logger = logger
        #: Kinds of objects that are created with their keys alone.
        self.in_two_steps: frozenset[str] = frozenset()
        #: Name and stream of each notice that was logged.
        self._given: set[tuple[str, str]] = set()

    def unknown_fields(self, stream: str, kind: str, names: Mapping[str, str]) -> None:
        """Logs once per stream which properties have no field in Apollo.

        Args:
            names: Name of each property -> why it has none, or the field that may be meant; empty
                where nothing is known of it.

        Raises:
            RunError: The setting `unknown_fields` is ``fail``.
        """
        known = self._counts.unknown_fields.setdefault(stream, [])
        new = [name for name in names if name not in known]
        if not new:
            return
        known += new
        whys = [f"{name} ({names[name]})" if names[name] else name for name in new[:30]]
        shown = ", ".join(whys) + (f" and {len(new) - 30} more" if len(new) > 30 else "")
        sentence = (
            f"Stream '{stream}': no field of {kind} and no custom field has the name of {shown}"
        )
        if self._settings.unknown_fields == "fail":
            raise RunError(
                f"{sentence}. The setting unknown_fields is 'fail', so nothing of this batch was "
                "written: leave them out in the catalog or a stream map, map them in "
                "custom_fields, or create the custom fields in Apollo.",
                exit_code=2,
            )
        if self._settings.unknown_fields == "warn":
            self._logger.warning("%s; they are not sent (unknown_fields).", sentence)

    def custom_fields_without_effect(self, sentences: Sequence[str]) -> None:
        """Logs once which entries of `custom_fields` have no effect.

        Raises:
            RunError: There are some, and the setting `unknown_fields` is ``fail``.
        """
        sentences = [one for one in sentences if self._is_first("custom_fields", one)]
        if not sentences:
            return
        if self._settings.unknown_fields == "fail":
            raise RunError(
                f"{' '.join(sentences)} The setting unknown_fields is 'fail', so nothing of this "
                "batch was written.",
                exit_code=2,
            )
        if self._settings.unknown_fields == "warn":
            for sentence in sentences:
                self._logger.warning("%s", sentence)

    def rules_left_out(self, stream: str, rules: Iterable[str]) -> None:
        """Logs once per stream and rule that records are not checked by it.

        Args:
            rules: The rules of the stream's schema that can't be used, each with its property.
        """
        new = [rule for rule in rules if self._is_first(f"rule {rule}", stream)]
        if new:
            self._logger.warning(
                "The SCHEMA of stream '%s' has rules that can't be used, and records are not "
                "checked by them: %s. Mend them in the tap's catalog.",
                stream,
                ", ".join(new[:30]) + (f" and {len(new) - 30} more" if len(new) > 30 else ""),
            )

    def addresses_left_out(self, stream: str) -> None:
        """Logs once per stream that malformed addresses beside valid ones are not sent."""
        if self._is_first("addresses", stream):
            self._logger.warning(
                "Stream '%s': rows have malformed e-mail addresses beside valid ones; those are "
                "left out and the rows are written.",
                stream,
            )

    def fields_hold_up(self, stream: str, names: Sequence[str]) -> None:
        """Logs once per stream that new records wait for fields, since there is no ledger.

        Args:
            names: The fields, as their request has them.
        """
        if self._is_first("hold_up", stream):
            self._logger.warning(
                "Stream '%s': new rows have %s, which need a request for each record, and more of "
                "them than Apollo takes this hour or day. Without a ledger (ledger_url) the run "
                "can't leave them to later runs: it stops there, and rows behind them are not "
                "created. With a ledger all rows are created first, and these fields follow.",
                stream,
                ", ".join(names),
            )

    def fields_not_followed(
        self, stream: str, names: Sequence[str], keys: Sequence[str], *, is_gone: bool
    ) -> None:
        """Logs that values which waited for Apollo's limits were not written, and for which rows.

        Args:
            keys: Keys of the rows, as the ledger has them.
            is_gone: Whether Apollo does not have the records any more.
        """
        what = ", ".join(names)
        if is_gone:
            self._logger.warning(
                "Stream '%s': %s waited to be sent to records that are gone from Apollo, merged or "
                "deleted by somebody: %s. They are dropped. When the rows come again, they find "
                "the records of their addresses, or on_apollo_delete says what becomes of them.",
                stream,
                what,
                listed(keys, _LISTED_KEYS),
            )
        else:
            self._logger.warning(
                "Stream '%s': Apollo did not take %s, which had waited to be sent, of the rows %s. "
                "They are dropped. When the rows come again, they are rejected with the reason, or "
                "written if they were corrected.",
                stream,
                what,
                listed(keys, _LISTED_KEYS),
            )

    def fields_kept(self, stream: str, names: Sequence[str], count: int) -> None:
        """Logs that people have changed records whose values waited, so that policies keep them."""
        self._logger.info(
            "Stream '%s': somebody changed %s in Apollo while their %s waited to be sent; by the "
            "setting field_policy, what is there stays.",
            stream,
            plural(count, "record"),
            ", ".join(names),
        )

    def unwritable(self, kind: str, names: Sequence[str]) -> None:
        """Counts fields that Apollo takes only when it creates records; logs each field once."""
        of = OBJECTS[ObjectKind(kind)]
        second_step = {*of.item_names, of.more_emails}.difference(of.crm_ids)
        for name in names:
            if not self._counts.not_writable[kind][name]:
                if kind in self.in_two_steps and name in second_step:
                    sentence = (
                        "Apollo takes '%s' of %s only when it creates them, which "
                        "create_in_two_steps does with their keys alone; it is not written."
                    )
                else:
                    sentence = (
                        "Apollo has no endpoint that changes '%s' on existing %s; it is written "
                        "when they are created."
                    )
                self._logger.warning(sentence, name, kind)
            self._counts.not_writable[kind][name] += 1

    def may_stay_incomplete(self) -> None:
        """Logs once that nothing remembers which records a stopped run has still to complete."""
        if self._is_first("two steps"):
            self._logger.warning(
                "create_in_two_steps in mode insert without a ledger: if this run is stopped "
                "between the two steps, the next one takes the records that it created for "
                "existing ones and leaves them with their keys alone. Set ledger_url, or use mode "
                "upsert."
            )

    def no_object(self, stream: str) -> None:
        """Logs that a stream which could not be written had no records."""
        self._logger.warning(
            "Stream '%s' fits neither contacts nor accounts by its name, and had no records: a "
            "record of it ends a run. Give it an object in the setting 'streams', or false to "
            "leave its records out.",
            stream,
        )

    def left_unread(self) -> None:
        """Logs that `max_records` ended the reading."""
        self._logger.info(
            "max_records: the first %d records are read and have their outcome; the rest of the "
            "input is passed over, and STATE is not advanced.",
            self._settings.max_records,
        )

    def no_stream(self) -> None:
        """Logs at the end of a run that no stream came, as where a tap selects nothing."""
        self._logger.warning(
            "No stream came: the input has no SCHEMA, so no row was read. Look whether the "
            "tap selects a stream that exists: with Meltano, `meltano select TAP --list`."
        )

    def unreadable_again(self) -> None:
        """Logs once that the input has lines of a rejects file that are no Singer messages."""
        if self._is_first("unreadable_again"):
            self._logger.warning(
                "Lines of the stream '%s' are left out: they were no Singer messages when they "
                "came and are none now. Mend them where they come from.",
                UNREADABLE_STREAM,
            )

    def own_rejects(self) -> None:
        """Logs once that the run reads its own rejects file."""
        if self._is_first("own_rejects"):
            self._logger.warning(
                "Records that this very run rejected come back on its input and are left out: it "
                "reads the file that it appends to. 'apollo-sync replay' does that and takes out "
                "what succeeds."
            )

    def deletions_ignored(self, stream: str) -> None:
        """Logs once per stream that deletions at the source change nothing in Apollo."""
        if self._is_first("deletions_ignored", stream):
            self._logger.info(
                "Stream '%s': rows are marked as deleted; their records stay as they are "
                "(on_delete).",
                stream,
            )

    def members_stay(self, stream: str) -> None:
        """Logs once per stream that members of deleted rows stay on their lists."""
        if self._is_first("members_stay", stream):
            self._logger.info(
                "Stream '%s': rows are marked as deleted; their members stay on the lists in mode "
                "'add'. Mode 'mirror' takes them off.",
                stream,
            )

    def lists_are_gone(self, stream: str) -> None:
        """Logs once per stream that lists are made again."""
        if self._is_first("lists_are_gone", stream):
            self._logger.warning(
                "Stream '%s': somebody deleted or renamed lists in Apollo that rows are on. They "
                "are made again with the members that rows name; a renamed list stays as it is.",
                stream,
            )

    def members_not_seen(self, stream: str, name: str) -> None:
        """Logs once per list that it could not be checked who is on it."""
        if self._is_first(f"members_not_seen {name}", stream):
            self._logger.warning(
                "Stream '%s': Apollo confirmed all additions to list '%s' and counts fewer members "
                "than that, and to look at each would take too many requests. Compare the list "
                "with the table.",
                stream,
                name,
            )

    def members_lost(self, stream: str, name: str, number: int, *, is_known: bool) -> None:
        """Logs that a list has lost members that rows name.

        Args:
            is_known: Whether it is known which, so that the next run puts them on again.
        """
        self._logger.warning(
            "Stream '%s': list '%s' lacks %s that rows name: somebody took them off, or their "
            "records are gone from Apollo. %s",
            stream,
            name,
            plural(number, "member"),
            "The next run puts them on again." if is_known else "full_resync puts them on again.",
        )

    def others_stay(self, stream: str, name: str, why: str) -> None:
        """Logs that a list keeps its other members in this run, though `mirror_scope` is `all`."""
        self._logger.warning(
            "Stream '%s': nobody but members of former rows is taken off list '%s' in this run "
            "(mirror_scope): %s.",
            stream,
            name,
            why,
        )

    def record_gone(self, stream: str, noun: str) -> None:
        """Logs once per stream that rows are skipped because their record was deleted in Apollo."""
        if self._is_first("record_gone", stream):
            self._logger.warning(
                "Stream '%s': somebody deleted the %s of a row in Apollo, and no other has its "
                "address. Such rows are skipped, now and in later runs, until their address "
                "changes (on_apollo_delete).",
                stream,
                noun,
            )

    def object_gone(self, stream: str, what: str) -> None:
        """Logs once per stream that rows are skipped because their record was deleted in Apollo.

        Args:
            what: Its object, such as ``deal``.
        """
        if self._is_first("object_gone", stream):
            self._logger.warning(
                "Stream '%s': somebody deleted the %s of a row in Apollo. Such rows are skipped, "
                "now and in later runs (on_apollo_delete).",
                stream,
                what,
            )

    def account_stays(self, stream: str) -> None:
        """Logs once per stream that a deal's account is another than its row's."""
        if self._is_first("account_stays", stream):
            self._logger.warning(
                "Stream '%s': a row names another account than its deal has. Apollo can't move a "
                "deal to another account, so the other values are written and the account stays.",
                stream,
            )

    def no_deal_stage(self, stream: str, name: str) -> None:
        """Logs once per stream that `on_delete` names no stage of deals."""
        if self._is_first("no_deal_stage", stream):
            self._logger.warning(
                "Stream '%s': rows are marked as deleted, and no stage of deals is called '%s' "
                "(on_delete), so their deals stay as they are.",
                stream,
                name,
            )

    def task_ended(self, stream: str) -> None:
        """Logs once per stream that rows change tasks that are completed or skipped in Apollo."""
        if self._is_first("task_ended", stream):
            self._logger.info(
                "Stream '%s': a changed row's task is completed or skipped in Apollo. Such tasks "
                "stay as they are, and their rows are skipped.",
                stream,
            )

    def no_task_status(self, stream: str, name: str) -> None:
        """Logs once per stream that `on_delete` names no status that ends a task."""
        if self._is_first("no_task_status", stream):
            self._logger.warning(
                "Stream '%s': rows are marked as deleted, and '%s' (on_delete) is no way to end a "
                "task: stage:skipped and stage:completed are. Their tasks stay as they are.",
                stream,
                name,
            )

    def no_time(self, stream: str, name: str) -> None:
        """Logs once per stream that rows have no time of their last change."""
        if self._is_first("no_time", stream):
            self._logger.warning(
                "Stream '%s': what stands in '%s' (setting updated_at_field) is no date and time "
                "in ISO 8601; the policy 'newest' writes nothing of such rows to existing records.",
                stream,
                name,
            )

    def sends_changes_only(self, stream: str) -> None:
        """Logs once per stream that its tap sends only changed rows, so none counts as missing."""
        if self._is_first("sends_changes_only", stream):
            self._logger.warning(
                "Stream '%s' has bookmark_properties, so that rows which did not come are not "
                "gone: no record was moved (on_delete). A table has to be sent whole for that.",
                stream,
            )

    def begun_earlier(self, stream: str, began: datetime) -> None:
        """Logs once per stream that its tap began to read the table before this run.

        Args:
            began: When the tap began to read the table; UTC.
        """
        if self._is_first("begun_earlier", stream):
            self._logger.warning(
                "Stream '%s': its table was begun at %s UTC, before this run, so that an earlier "
                "run may have read rows that did not come again: no record was moved (on_delete). "
                "The next run that reads the table from its first row on does it.",
                stream,
                began.strftime("%Y-%m-%d %H:%M:%S"),
            )

    def not_whole(
        self, stream: str, source: str, doubt: Doubt, began: datetime | None = None
    ) -> None:
        """Logs why the run does not look for missing rows; nothing if the tap sent no whole table.

        Args:
            source: The tap's name of the stream that was not seen whole.
            began: When the tap began to read the table, if that was before this run.
        """
        if doubt is Doubt.CHANGES_ONLY:
            self.sends_changes_only(stream)
        elif began is not None:
            self.begun_earlier(stream, began)
        elif doubt in _NOT_WHOLE:
            self._logger.warning(
                "Stream '%s' was sent as a whole, but it is not known which rows are gone: %s. No "
                "record was moved (on_delete), and no member taken off a list.",
                stream,
                _NOT_WHOLE[doubt].format(source=source),
            )

    def lost_creates(self, stream: str, number: int) -> None:
        """Logs that rows are gone for which killed runs may have created records."""
        self._logger.warning(
            "Stream '%s': %s that killed runs may have created for rows that are gone from the "
            "table can't be found (on_delete). If they are in Apollo, they have no row.",
            stream,
            plural(number, "record"),
        )

    def former_stage_unknown(self, stream: str) -> None:
        """Logs once per stream that returned rows have records whose former stage is not known."""
        if self._is_first("former_stage_unknown", stream):
            self._logger.warning(
                "Stream '%s': rows that were deleted have come back, and it is not known which "
                "stage their records had before: they stay in the stage that on_delete moved them "
                "to. Move them in Apollo, or give the rows a stage.",
                stream,
            )

    def stays_on_list(self, stream: str, name: str, refusal: EndpointForbidden) -> None:
        """Logs once per stream that records of returned rows can't be taken off a list."""
        if self._is_first("stays_on_list", stream):
            self._logger.warning(
                "Stream '%s': rows that were deleted have come back, and their records stay on the "
                "list '%s' (on_delete): %s",
                stream,
                name_shown(name),
                refusal,
            )

    def missing_rows_unknown(self, stream: str, *, has_ledger: bool) -> None:
        """Logs why the run does not look for rows that are missing in a table."""
        why = (
            "a record was left out or can't be told from others, or none came at all"
            if has_ledger
            else "there is no ledger that knows which rows there were (ledger_url)"
        )
        self._logger.warning(
            "Stream '%s' was sent as a whole, but it is not known which rows are gone: %s. No "
            "record was moved (on_delete).",
            stream,
            why,
        )

    def _is_first(self, notice: str, stream: str = "") -> bool:
        """Marks a notice on a stream as logged; True if it was not logged before."""
        is_first = (notice, stream) not in self._given
        self._given.add((notice, stream))
        return is_first


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
