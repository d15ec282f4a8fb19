"""Notices on the streams of list members, deals and tasks."""

from __future__ import annotations

import logging

from target_apollo.sync.words import plural


class ObjectNotices:
    """The notices of one stream: what concerns many of its rows is logged once."""

    def __init__(self, logger: logging.Logger, stream: str) -> None:
        self._logger = logger
        self._stream = stream
        #: Names of the notices that were logged.
        self._given: set[str] = set()

    def _is_first(self, notice: str) -> bool:
        """Marks a notice as logged; True if it was not logged before."""
        is_first = notice not in self._given
        self._given.add(notice)
        return is_first

    # --- lists

    def members_stay(self) -> None:
        """Logs once that members of deleted rows stay on their lists."""
        if self._is_first("members_stay"):
            self._logger.info(
                "Stream '%s': rows are marked as deleted; their members stay on the lists in mode "
                "'add'. Mode 'mirror' takes them off.",
                self._stream,
            )

    def lists_are_gone(self) -> None:
        """Logs once that lists are made again."""
        if self._is_first("lists_are_gone"):
            self._logger.warning(
                "Stream '%s': somebody deleted or renamed lists in Apollo that rows are on. They "
                "are made again with the members that rows name; a renamed list stays as it is.",
                self._stream,
            )

    def members_not_seen(self, name: str) -> None:
        """Logs once per list that it could not be checked who is on it."""
        if self._is_first(f"members_not_seen {name}"):
            self._logger.warning(
                "Stream '%s': Apollo confirmed all additions to list '%s' and counts fewer members "
                "than that, and to look at each would take too many requests. Compare the list "
                "with the table.",
                self._stream,
                name,
            )

    def members_lost(self, name: str, number: int, *, is_known: bool) -> None:
        """Logs that a list has lost members that rows name.

        Args:
            is_known: Whether it is known which, so that the next run puts them on again.
        """
        self._logger.warning(
            "Stream '%s': list '%s' lacks %s that rows name: somebody took them off, or their "
            "records are gone from Apollo. %s",
            self._stream,
            name,
            plural(number, "member"),
            "The next run puts them on again." if is_known else "full_resync puts them on again.",
        )

    def others_stay(self, name: str, why: str) -> None:
        """Logs that a list keeps its other members in this run, though `mirror_scope` is `all`."""
        self._logger.warning(
            "Stream '%s': nobody but members of former rows is taken off list '%s' in this run "
            "(mirror_scope): %s.",
            self._stream,
            name,
            why,
        )

    # --- deals and tasks

    def record_gone(self, what: str) -> None:
        """Logs once that rows are skipped because their record was deleted in Apollo.

        Args:
            what: The object, such as ``deal``.
        """
        if self._is_first("record_gone"):
            self._logger.warning(
                "Stream '%s': somebody deleted the %s of a row in Apollo. Such rows are skipped, "
                "now and in later runs (on_apollo_delete).",
                self._stream,
                what,
            )

    def account_stays(self) -> None:
        """Logs once that a deal's account is another than its row's."""
        if self._is_first("account_stays"):
            self._logger.warning(
                "Stream '%s': a row names another account than its deal has. Apollo can't move a "
                "deal to another account, so the other values are written and the account stays.",
                self._stream,
            )

    def no_deal_stage(self, name: str) -> None:
        """Logs once that `on_delete` names no stage of deals."""
        if self._is_first("no_deal_stage"):
            self._logger.warning(
                "Stream '%s': rows are marked as deleted, and no stage of deals is called '%s' "
                "(on_delete), so their deals stay as they are.",
                self._stream,
                name,
            )

    def task_ended(self) -> None:
        """Logs once that rows change tasks that are completed or skipped in Apollo."""
        if self._is_first("task_ended"):
            self._logger.info(
                "Stream '%s': a changed row's task is completed or skipped in Apollo. Such tasks "
                "stay as they are, and their rows are skipped.",
                self._stream,
            )

    def no_task_status(self, name: str) -> None:
        """Logs once that `on_delete` names no status that ends a task."""
        if self._is_first("no_task_status"):
            self._logger.warning(
                "Stream '%s': rows are marked as deleted, and '%s' (on_delete) is no way to end a "
                "task: stage:skipped and stage:completed are. Their tasks stay as they are.",
                self._stream,
                name,
            )
