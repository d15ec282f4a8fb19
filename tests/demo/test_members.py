"""The demo's plan of an enrolment."""

from __future__ import annotations

from pathlib import Path

from target_apollo.demo.members import plan_enrolment
from target_apollo.demo.sandbox import API_KEY, RunningSandbox
from target_apollo.sandbox import SandboxOptions
from target_apollo.sync.sequences.enrolment_counts import enrolment_sentences
from tests.helpers.new_sandbox import new_sandbox


def test_the_plan_says_whom_a_sequence_would_write_to_and_enrols_nobody(tmp_path: Path) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as sandbox:
        assert sandbox.api_key == API_KEY
        for number in range(2):
            sandbox.store.add_contact(email=f"p{number}@a.com")

        running = RunningSandbox(sandbox.url)
        emails = ["p0@a.com", "p1@a.com"]
        summary = plan_enrolment(tmp_path, running, f"sqlite:///{tmp_path}/ledger.db", emails)

        assert summary["records"]["created"] == 2
        (sentence,) = enrolment_sentences(summary["enrolments"])
        assert sentence.startswith("2 contacts would be enrolled into sequence 'Spring launch'")
        assert running.enrolments() == []
