from __future__ import annotations

from target_apollo.mapper import rules
from target_apollo.model.outcomes import Reason
from target_apollo.reporting.words import (
    REASONS,
    REMEDIES,
    RULES,
    duplicate_words,
    reason_words,
    rule_words,
)
from target_apollo.sync.dry_run.plan_sentences import identity_sentences
from target_apollo.sync.identity.verdicts import Verdict


def test_every_reason_has_words() -> None:
    assert set(REASONS) == set(REMEDIES) == {reason.value for reason in Reason}


def test_every_rule_has_words() -> None:
    assert set(RULES) == set(rules.RULES)


def test_every_identity_change_has_words() -> None:
    for verdict in {*Verdict} - {Verdict.SAME}:
        for count in (1, 2):
            found = {"contacts": {verdict.value: {"count": count, "keys": ["7"]}}}
            (sentence,) = identity_sentences(found)
            assert f"row is {verdict.value}:" not in sentence
            assert f"rows are {verdict.value}:" not in sentence


def test_what_another_version_named_is_told_by_its_name() -> None:
    assert reason_words("lost_in_the_post") == "Lost in the post"
    assert duplicate_words("same_phone") == "Same phone"
    assert rule_words("likes_us\x1b") == "Likes us�"
