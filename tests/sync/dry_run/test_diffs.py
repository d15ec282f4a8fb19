from __future__ import annotations

from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.rows import Row
from target_apollo.sync.dry_run.sample_diffs import Diff, diffs_of

CUSTOM = "a" * 24


def row(custom: dict[str, str | None] | None = None, **values: str | None) -> Row:
    return Row(1, (1,), "ann@firm.com", values, custom or {})


def test_equal_values_are_no_change() -> None:
    assert diffs_of(CONTACT, row(title="CEO"), {"title": "CEO "}, (), {}) == []


def test_a_change_shows_both_values() -> None:
    assert diffs_of(CONTACT, row(title="CEO"), {"title": "CTO"}, (), {}) == [
        Diff("title", "CTO", "CEO")
    ]


def test_an_emptied_field_has_no_new_value() -> None:
    assert diffs_of(CONTACT, row(title=None), {"title": "CTO"}, (), {}) == [
        Diff("title", "CTO", None)
    ]


def test_a_custom_field_has_its_label() -> None:
    found = diffs_of(
        CONTACT, row({CUSTOM: "8"}), {"typed_custom_fields": {CUSTOM: 7}}, (), {CUSTOM: "Seats"}
    )
    assert found == [Diff("Seats", "7", "8")]


def test_a_phone_number_is_compared_with_those_of_its_type() -> None:
    answer = {"phone_numbers": [
        {"type": "mobile", "raw_number": "+1 555 0100"},
        {"type": "home", "raw_number": "+1 555 0199"},
    ]}  # fmt: skip
    assert diffs_of(CONTACT, row(mobile_phone="+1 555 0101"), answer, (), {}) == [
        Diff("mobile_phone", "+1 555 0100", "+1 555 0101")
    ]


def test_what_no_endpoint_changes_is_no_change() -> None:
    assert diffs_of(CONTACT, row(salesforce_id="003"), {"salesforce_id": None}, (), {}) == []


def test_lists_are_told_by_name() -> None:
    assert diffs_of(CONTACT, row(), {}, ("Warm",), {}) == [Diff("label_names", None, "Warm")]
