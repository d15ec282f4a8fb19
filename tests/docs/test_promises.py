"""Each promise is held by tests that exist, and by at least one of ``make test``."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "explanation" / "promises.md").read_text(encoding="utf-8")

#: What people fear, as the README's beginning names it -> tests.
FEARS = {
    "Duplicates.": [
        "promises/test_bad_input.py::test_a_namesake_at_the_same_company_is_never_written_over",
        "promises/test_faults.py::test_a_create_whose_answer_is_lost_makes_each_contact_once",
    ],
    "Rows that went missing.": [
        "promises/test_bad_input.py::test_invalid_records_between_good_ones_are_rejected_alone",
        "promises/test_meltano_run.py::test_each_outcome_is_counted_as_the_rows_were_made",
        "promises/test_meltano_run.py::test_the_first_run_brings_every_good_row_to_apollo_once",
    ],
    "Overwritten fields.": [
        "promises/test_modes.py::test_upsert_leaves_fields_alone_that_the_row_does_not_carry",
        "promises/test_field_policy.py::test_a_policy_decides_what_an_existing_contact_holds",
    ],
    "A burned quota.": [
        "promises/test_modes.py::test_new_rows_are_created_a_hundred_a_request",
        "promises/test_meltano_run.py::test_the_job_writes_nothing_when_nothing_changed",
        "apollo/test_pacing.py::test_a_run_that_is_alone_causes_no_429",
        "apollo/test_team_pacing.py::test_processes_of_one_team_cause_no_429",
    ],
    'A sync that says "success" and did nothing.': [
        "promises/test_bad_input.py"
        "::test_an_answer_that_leaves_a_record_out_never_counts_as_written",
        "promises/test_bad_input.py::test_too_many_rejects_are_an_error_at_the_end",
    ],
}
#: A row of the table in docs/explanation/promises.md -> tests.
PROMISES = {
    "Whatever Apollo answers, late, wrong or not at all, each row is there once with its last "
    "values, or in the rejects file": [
        "promises/test_faults.py::test_a_create_whose_answer_is_lost_makes_each_contact_once",
        "promises/test_faults.py::test_an_update_whose_answer_is_lost_is_written",
        "promises/test_border.py::test_an_altered_answer_spoils_nothing",
        "promises/test_border.py::test_many_altered_answers_spoil_nothing",
        "promises/test_chaos.py::test_nothing_is_lost_and_nothing_is_twice_in_a_short_run",
        "promises/test_chaos.py::test_nothing_is_lost_and_nothing_is_twice",
    ],
    "Whatever rows, tables, settings and people in Apollo change between runs, each record holds "
    "after a run what these pages say": [
        "promises/test_world.py::test_nothing_is_wrong_in_a_short_world",
        "promises/test_world.py::test_nothing_is_wrong_in_any_world",
    ],
    "A run killed at any request or any step on disk is made whole by the next": [
        "promises/test_kill_sweep.py"
        "::test_a_run_killed_at_a_sampled_moment_is_made_whole_by_the_next",
        "promises/test_kill_sweep.py"
        "::test_a_run_killed_at_each_request_transaction_and_file_is_made_whole_by_the_next",
        "promises/test_kill_sweep.py::test_a_run_killed_at_any_moment_is_made_whole_by_the_next",
    ],
    "A list has the members of its rows and loses nobody else's, whatever becomes of answers and "
    "runs": [
        "promises/objects/test_mirrored_lists.py"
        "::test_members_whose_rows_are_gone_come_off_the_list",
        "promises/objects/test_mirrored_lists.py::test_what_a_list_had_before_stays_on_it",
        "promises/objects/test_interrupted_lists.py"
        "::test_lists_are_right_after_a_kill_between_addition_and_outcome",
        "promises/objects/test_interrupted_lists.py::test_a_lost_answer_changes_nothing",
        "promises/objects/test_interrupted_lists.py"
        "::test_lists_follow_a_table_through_random_faults",
    ],
    "A deal is made once, whatever becomes of answers, runs and ledger": [
        "promises/objects/test_deals.py::test_a_deal_whose_answer_was_lost_is_not_made_twice",
        "promises/objects/test_deals_killed.py"
        "::test_a_run_killed_at_a_sampled_moment_makes_each_deal_once",
        "promises/objects/test_deals_killed.py"
        "::test_a_run_killed_at_any_kind_of_moment_makes_each_deal_once",
        "promises/objects/test_deals_killed.py"
        "::test_faults_of_every_kind_make_no_deal_twice_and_lose_none",
    ],
    "A task is made at most once, and one whose answer was lost is found or told": [
        "promises/objects/test_tasks.py::test_a_task_whose_answer_was_lost_is_found_by_its_mark",
        "promises/objects/test_tasks.py"
        "::test_a_task_that_is_not_found_after_a_lost_answer_is_not_sent_again_by_itself",
        "promises/objects/test_tasks_killed.py"
        "::test_a_run_killed_at_a_sampled_moment_makes_each_task_at_most_once",
        "promises/objects/test_tasks_killed.py"
        "::test_a_run_killed_at_any_kind_of_moment_makes_each_task_at_most_once",
        "promises/objects/test_tasks_killed.py"
        "::test_faults_of_every_kind_make_no_task_twice_and_lose_none_without_a_word",
    ],
    "STATE never passes a record without an outcome, however a run ends": [
        "promises/test_state.py::test_state_follows_the_flushes_as_they_are_confirmed",
        "promises/test_state.py::test_a_signal_ends_the_run_and_acknowledges_only_what_was_sent",
    ],
    "A run that a quota or limit ends lets STATE pass behind what it wrote": [
        "promises/test_state_at_limits.py::test_each_run_goes_on_behind_the_rows_of_the_last",
        "promises/test_state_at_limits.py::test_a_limit_lets_state_pass_behind_what_was_written",
    ],
    "No new contact waits for fields that need a request each, and none of these is lost": [
        "promises/test_pending_fields.py"
        "::test_all_rows_are_created_though_their_slow_fields_do_not_fit",
        "promises/test_pending_fields.py::test_the_next_runs_send_what_waits_the_oldest_first",
    ],
    "One contact per e-mail, with the last values, whatever the rows and batches": [
        "promises/test_upsert_law.py"
        "::test_upsert_leaves_one_contact_per_email_with_the_last_values",
    ],
    "The same, under every behaviour that Apollo's documents leave open": [
        "promises/test_open_questions.py::test_upsert_ends_with_the_rows_values",
    ],
    "No record holds one person's address and another's name, and no two get one address, "
    "whatever becomes of keys and records": [
        "promises/test_identity_law.py::test_nobody_becomes_another_and_nobody_is_twice",
        "promises/test_identity_law.py::test_the_law_holds_in_many_stories",
    ],
    "Nobody is enrolled into a sequence twice, or past `allow_sequences`, `max_enrolments` and "
    "`protected_stages`, whatever is lost or killed": [
        "promises/objects/test_sequence_members.py"
        "::test_a_contact_that_was_taken_out_by_a_person_is_never_enrolled_again",
        "promises/objects/test_sequence_members.py"
        "::test_a_row_of_a_sequence_that_is_not_allowed_is_rejected_before_any_request",
        "promises/objects/test_killed_enrolments.py"
        "::test_whatever_fails_nobody_is_enrolled_whom_no_row_names_or_a_person_took_out",
        "promises/objects/test_killed_enrolments.py"
        "::test_a_mirror_that_is_killed_at_any_moment_is_made_whole_by_the_next",
    ],
    "A bad record costs no other; hostile input costs bounded memory": [
        "promises/test_bad_input.py::test_invalid_records_between_good_ones_are_rejected_alone",
        "promises/test_hostile_input.py::test_the_longest_line_that_is_read_takes_bounded_memory",
        "promises/test_hostile_input.py::test_many_long_records_are_not_all_held_at_once",
    ],
    "Rows in BATCH files go the way of records, and no STATE passes a file that can't be read": [
        "promises/test_batch.py::test_the_rows_of_batch_files_are_written",
        "promises/test_batch.py"
        "::test_files_that_can_not_be_read_end_the_run_and_no_state_passes_them",
        "mapper/test_batch.py::test_the_leads_of_a_file_are_judged_and_go_on_as_records",
    ],
    "A rule for new leads keeps no update from a known one; a withheld address is neither cleared "
    "in Apollo nor makes a second contact": [
        "promises/test_new_and_known_leads.py"
        "::test_a_new_lead_at_another_stage_waits_and_a_known_one_moves_on",
        "promises/test_new_and_known_leads.py"
        "::test_an_address_that_is_no_longer_verified_stays_as_it_is_in_apollo",
        "promises/test_new_and_known_leads.py"
        "::test_an_address_goes_once_it_is_verified_and_makes_no_second_contact",
    ],
    "A setting means the same in a file, a variable, `.env` and Meltano": [
        "config/test_typed_values.py::test_a_whole_number_within_its_range_arrives",
        "config/test_typed_values.py::test_a_fraction_within_its_range_arrives",
        "promises/test_meltano_settings.py::test_numbers_of_variables_arrive_with_their_fractions",
    ],
    "A replayed reject never overwrites newer values, and a killed replay loses none": [
        "promises/test_replay.py::test_a_rejected_row_never_overwrites_what_a_later_run_wrote",
        "promises/test_replay.py"
        "::test_a_replay_that_is_killed_loses_nothing_and_the_next_doubles_nothing",
    ],
    "No log shows a key, an e-mail address or a record, at any level; files are for their owner "
    "only": [
        "promises/test_privacy.py::test_a_run_at_level_debug_says_nothing_private",
        "promises/test_privacy.py::test_what_a_run_leaves_behind_is_for_its_owner_only",
    ],
    "The key goes only to the configured host, also on redirects; plain http only to this "
    "machine": [
        "apollo/test_auth.py::test_credentials_go_to_one_origin_only",
        "apollo/test_urls.py::test_any_other_address_is_refused_by_the_setting_s_name_alone",
    ],
    "No refresh token is spent twice, whatever renews at once or is killed meanwhile": [
        "apollo/test_token_file.py::test_two_processes_that_begin_at_once_spend_one_refresh_token",
        "apollo/test_token_file.py"
        "::test_a_process_killed_while_it_renews_leaves_a_token_to_go_on_with",
    ],
    "A report's page asks nothing of the network, shows hostile keys as text, and is readable on "
    "a phone and in the dark": [
        "reporting/test_page.py::test_the_page_refers_to_nothing_outside",
        "reporting/test_page.py::test_markup_in_a_text_is_shown_as_text",
        "reporting/test_page_in_browser.py"
        "::test_every_text_and_bar_stands_out_and_nothing_is_wider_than_the_screen",
    ],
    "No result is missed by the warehouse, however writes and readings fall together": [
        "tap/test_no_result_is_missed.py::test_the_warehouse_ends_with_what_the_ledger_holds",
        "tap/test_bookmark.py::test_what_commits_after_the_reading_is_not_missed",
    ],
    "A team that comes from another tool starts without a write: what is equal is not sent, and no "
    "link is moved": [
        "promises/test_adopt.py::test_a_first_run_after_it_writes_nothing_where_values_are_equal",
        "promises/test_adopt.py::test_a_link_to_another_record_stays",
    ],
    "No record of Apollo is missed by the warehouse while others are changed, made or deleted, or "
    "where a quota ends the reading": [
        "sync/reading/test_walk.py"
        "::test_no_record_that_stays_is_missed_while_others_are_deleted_or_made",
        "tap/test_record_streams.py::test_a_read_that_the_quota_ends_goes_on_in_the_next_run",
    ],
    "Every error and warning is in docs/troubleshooting.md, and every command of the how-tos "
    "works": [
        "docs/test_troubleshooting.py::test_every_message_is_on_the_page",
        "docs/test_how_tos.py::test_each_command_and_link_of_a_how_to_exists",
        "docs/test_how_tos.py::test_what_a_how_to_says_can_be_done",
    ],
    "Two runs of one stream at once: the second ends with a sentence, also behind a pooler": [
        "promises/test_one_run_at_a_time.py::test_a_run_that_starts_while_another_writes_is_refused",
        "ledger/test_locks.py::test_a_second_run_on_the_same_stream_is_told_which_and_since_when",
        "ledger/test_poolers.py::test_a_second_run_is_refused_whatever_session_it_gets",
    ],
    "Runs of one team at the same time share its rate windows and cause no 429s of each other, "
    "also where one is killed; a later run knows when the window of an earlier one ends": [
        "apollo/test_team_pacing.py::test_processes_of_one_team_cause_no_429",
        "apollo/test_team_pacing.py::test_a_killed_process_causes_no_429_of_the_others",
        "ledger/test_windows.py::test_a_text_is_replaced_only_by_who_has_read_it",
        "promises/test_shared_windows.py::test_processes_use_up_an_hour_together_and_cause_no_429",
        "promises/test_shared_windows.py"
        "::test_a_later_run_knows_when_the_hour_of_an_earlier_one_ends",
        "promises/test_shared_windows.py::test_a_killed_process_leaves_the_others_its_share",
    ],
    "Two teams share a ledger, and no row of one counts as the other's": [
        "promises/test_untold_teams.py::test_the_rows_of_a_second_team_are_created_in_it",
    ],
}
BOTH = {**FEARS, **PROMISES}


def rows() -> dict[str, str]:
    """Promise -> what the page says that it is held by."""
    return dict(re.findall(r"^\| (?!promise )([^|]+?) \| (`[^|]+?) \|$", PAGE, re.MULTILINE))


@cache
def found_in(file: str) -> dict[str, bool]:
    """Name -> whether `make test` runs it."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    whole = any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "pytestmark"
        and _is_full(node.value)
        for node in tree.body
    )
    return {
        node.name: not whole and not any(_is_full(mark) for mark in node.decorator_list)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def _is_full(mark: ast.expr) -> bool:
    if isinstance(mark, ast.List):
        return any(_is_full(one) for one in mark.elts)
    return ast.unparse(mark) == "pytest.mark.full"


def test_every_promise_and_no_other_has_its_tests_here() -> None:
    fears = re.findall(r"^- \*\*(.+?)\*\*", README.partition("## ")[0], re.MULTILINE)
    assert list(FEARS) == fears
    assert list(PROMISES) == list(rows())


@pytest.mark.parametrize("promise", PROMISES)
def test_the_page_names_the_files_of_the_tests(promise: str) -> None:
    files = re.findall(r"`tests/(\S+\.py)`", rows()[promise])
    assert {test.partition("::")[0] for test in PROMISES[promise]} == set(files)


@pytest.mark.parametrize("test", sorted(set(chain.from_iterable(BOTH.values()))))
def test_a_test_of_a_promise_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert name in found_in(file)


@pytest.mark.parametrize("promise", BOTH)
def test_make_test_looks_at_every_promise(promise: str) -> None:
    named = (test.partition("::") for test in BOTH[promise])
    assert any(found_in(file)[name] for file, _, name in named)


def test_a_test_that_only_the_whole_suite_runs_is_told_from_others() -> None:
    assert not found_in("promises/test_kill_sweep.py")[
        "test_a_run_killed_at_any_moment_is_made_whole_by_the_next"
    ]
    assert not found_in("promises/test_demo.py")["test_it_shows_both_syncs_and_exits_with_0"]
    assert not any(found_in("reporting/test_page_in_browser.py").values())
    assert found_in("promises/test_state.py")["test_an_idle_stream_does_not_hold_state_back"]
