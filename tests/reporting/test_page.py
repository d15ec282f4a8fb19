from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.reporting.chart import LEAST, shares
from target_apollo.reporting.detail import Detail, detail_of
from target_apollo.reporting.funnel import Funnel, Step
from target_apollo.reporting.page import page
from target_apollo.reporting.past_runs import PastRun, RejectedKeys, merged
from target_apollo.sync.rejects.causes import Cause
from target_apollo.system.shown import printable
from tests.helpers.html_reader import Reader
from tests.helpers.past_runs import AT, detail, past_run, rejected, row, waiting


def read(shown: Detail, *others: PastRun) -> Reader:
    return Reader(page([shown.run, *others], shown, AT + timedelta(hours=1)))


def full(text: str = "text", number: int = 3) -> Detail:
    """A run of which everything is known, with one text wherever a file can put one."""
    window = {"limit": 200, "usage": number, "left": None}
    run = past_run(
        text,
        streams={
            text: {"created": number, "rejected": 2, "rejected_because": {text: 2}},
            "other": {"updated": 1},
        },
        left=2,
        ended_because=text,
        exit_code=3,
        team=text,
        mode=text,
        api={
            "requests": {text: number},
            "quota": {text: {"minute": window, "hour": window, "day": window}, "other": {}},
        },
        estimate={"requests": {text: 9}},
        protected={text: {text: number}},
        deleted={text: number},
        to_follow={text: number},
        identity={text: {text: {"count": number, "keys": [text]}}},
        duplicates={"found": 2, "listed": [{"stream": text, "keys": [text], "kind": text}]},
        unknown_fields={text: [text]},
        not_writable={text: {text: number}},
        diffs=[{"stream": text, "key": text, "field": text, "apollo": text, "new": [text]}],
    )
    causes = Counter({Cause(text, text, text): 1})
    kept = {(text, text): RejectedKeys(1, [text], causes), ("other", text): RejectedKeys(1, [text])}
    funnel = Funnel(text, 9, (Step(text, 2, 1, 6),))
    return detail_of(run, kept, [funnel], [waiting(text, number, text)])


#: What the page of harmless texts is made of.
HARMLESS = [name for name, _ in read(full()).tags]


# --- nothing gets in, and nothing is asked from outside

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title></head><body onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "]]><!-- --!> <svg/onload=alert(1)>",
    "&lt;script&gt; &amp;#60;",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_a_text_is_shown_as_text(text: str) -> None:
    shown = read(full(text))
    assert [name for name, _ in shown.tags] == HARMLESS
    assert shown.unclosed == []
    assert " ".join(text.split()) in shown.text
    assert not shown.named("script", "img", "iframe", "object", "embed", "base", "form")
    assert not [key for _, attributes in shown.tags for key in attributes if key.startswith("on")]


@settings(deadline=None, max_examples=60)
@given(st.text(min_size=1, max_size=40))
def test_no_text_changes_what_the_page_is_made_of(text: str) -> None:
    shown = read(full(text))
    assert [name for name, _ in shown.tags] == HARMLESS
    assert " ".join(printable(text).split()) in shown.text


def test_the_page_refers_to_nothing_outside() -> None:
    text = page([full().run], full(), AT)
    for _, attributes in Reader(text).tags:
        assert not attributes.keys() & {"src", "href", "xlink:href", "action", "style", "srcset"}
    assert "url(" not in text
    assert "@import" not in text
    assert "://" not in text


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    text = page([full().run], full(), AT)
    (policy,) = [
        meta["content"]
        for meta in Reader(text).named("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert text.index('charset="utf-8"') < 100


# --- what it shows


def test_the_numbers_of_the_run_are_on_the_page() -> None:
    text = read(full(number=123)).text
    for said in (
        "128 rows",
        "created in Apollo 123",
        "left for the next run",
        "123 of 200, 77 left",
        "Identity changes",
        "123 rows are text: text and 122 more (stream 'text').",
        "Protected 123 values",
        "2 groups of duplicates",
        "and 1 further group",
        "From 9 leads to Apollo",
        "2 did not meet it, 1 held for a later run",
        "1 sample difference",
        "20 November 2026, 09:30 UTC",
        "9 writing ones estimated",
    ):
        assert said in text, said


def test_without_verdicts_the_way_is_that_of_the_rows() -> None:
    text = read(detail(streams={"contacts": {"created": 7, "skipped": 2, "rejected": 1}})).text
    assert "From rows to Apollo" in text
    assert "Rows read 10" in text
    assert "2 left out by a stream map" in text
    assert "In Apollo 7" in text


def test_leads_whose_stream_can_t_be_told_end_at_the_last_rule() -> None:
    run = past_run(streams={"a": {"created": 1}, "b": {"created": 1}})
    text = read(detail_of(run, {}, [Funnel("leads", 5, (Step("stage", 2, 0, 3),))])).text
    assert "Sent to Apollo 3 What became of them in Apollo can't be told" in text


def test_leads_that_passed_otherwise_than_by_the_rules_are_told() -> None:
    funnel = Funnel("leads", 5, (Step("stage", 2, 0, 3),), named=1, withheld=1)
    text = read(detail_of(past_run(), {}, [funnel])).text
    assert (
        "Leads read 5 1 lead passed by the setting always, though rules hold against it; "
        "1 lead passed without the e-mail address" in text
    )


def test_two_streams_of_leads_have_a_heading_each() -> None:
    funnels = [Funnel("leads", 5, ()), Funnel("firms", 4, ())]
    shown = read(detail_of(past_run(), {}, funnels))
    assert "From 9 leads to Apollo" in shown.text
    assert "Leads of leads" in shown.text
    assert "Leads of firms" in shown.text


def test_a_killed_run_is_shown_with_what_is_known() -> None:
    (killed,) = merged([], [row("killed")])
    kept = {("contacts", "missing_email"): RejectedKeys(1, ["7"])}
    shown = read(detail_of(killed, kept, ()), past_run("before", AT - timedelta(hours=1)))
    assert "No end noted" in shown.text
    assert "the run was killed, or it is still under way" in shown.text
    assert "1 row could not be written" in shown.text
    assert any(rect.get("class") == "unknown" for rect in shown.named("rect"))


def test_a_dry_run_is_shown_as_one() -> None:
    text = read(detail(dry_run=True)).text
    assert "Dry run of 20 November 2026" in text
    assert "3 to create" in text
    assert "To be in Apollo" in text


def test_the_chart_has_no_bar_for_a_dry_run_which_wrote_nothing() -> None:
    wrote = past_run("b", streams={"contacts": {"created": 3}})
    planned = past_run(
        "a", AT - timedelta(days=1), dry_run=True, streams={"contacts": {"created": 30}}
    )
    shown = read(detail_of(wrote, {}, ()), planned)
    assert "Outcomes of the last 1 run" in shown.text
    assert "created 3" in shown.text
    assert "created 33" not in shown.text
    assert "dry run: nothing written" in shown.text


def test_a_run_without_any_rows_is_a_page_too() -> None:
    text = read(detail(streams={}, api={})).text
    assert "0 rows read" in text
    assert "could not be written" in text


def test_the_chart_has_a_bar_part_for_each_outcome_that_a_run_had() -> None:
    runs = [
        past_run("b", streams={"contacts": {"created": 30, "rejected": 10}}),
        past_run("a", AT - timedelta(days=1), streams={"contacts": {"unchanged": 40}}),
    ]
    text = page(runs, detail_of(runs[0], {}, ()), AT)
    parts = re.findall(
        r'<rect class="(\w+)" x="([\d.]+)" width="[\d.]+" y="([\d.]+)" height="([\d.]+)">'
        r"<title>(.*?)</title>",
        text,
    )
    assert [(name, said) for name, *_, said in parts] == [
        ("unchanged", "2026-11-19 09:30: 40 unchanged"),
        ("created", "2026-11-20 09:30: 30 created"),
        ("rejected", "2026-11-20 09:30: 10 rejected"),
    ]
    (_, first, _, whole, _), (_, second, top, created, _), (_, third, peak, rejected, _) = parts
    assert float(first) < float(second) == float(third)
    assert float(whole) == 100
    assert (float(created), float(rejected)) == (75, 25)
    assert (float(top), float(peak)) == (25, 0)


@pytest.mark.parametrize("number", [1, 2, 13, 200])
def test_the_chart_takes_few_and_many_runs(number: int) -> None:
    runs = [past_run(f"run{at}", AT - timedelta(hours=at)) for at in range(number)]
    shown = read(detail_of(runs[0], {}, ()), *runs[1:])
    assert all(f"run{at}" in shown.text for at in range(number))


@given(st.lists(st.integers(0, 10**9), max_size=8), st.integers(0, 10**9))
def test_the_parts_of_a_bar_are_seen_and_fit_into_it(counts: list[int], whole: int) -> None:
    found = shares(counts, whole)
    assert sum(found) <= 100.000001
    if whole:
        for count, share in zip(counts, found, strict=True):
            assert (share > 0) is (count > 0)
        if sum(counts) <= whole and all(100 * count >= LEAST * whole for count in counts if count):
            assert found == pytest.approx([100 * count / whole for count in counts])


# --- for everybody


def test_headings_go_down_one_level_at_a_time() -> None:
    levels = [int(name[1]) for name, _ in read(full()).tags if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_section_has_a_name_and_every_id_is_its_own() -> None:
    shown = read(full())
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for section in shown.named("section"):
        assert section.get("aria-label") or section["aria-labelledby"] in ids
    for picture in shown.named("svg"):
        if picture.get("aria-hidden") != "true":
            assert picture["role"] == "img"
            assert set(picture["aria-labelledby"].split()) <= set(ids)
    assert len(shown.named("main")) == len(shown.named("header")) == len(shown.named("footer")) == 1


def test_tables_stay_tables_when_their_rows_become_cards() -> None:
    shown = read(full())
    assert shown.named("table")
    for table in shown.named("table"):
        assert table["role"] == "table"
        assert table["aria-label"]
    for cell in shown.named("td"):
        assert cell["role"] == "cell"
    for head in shown.named("th"):
        assert head["scope"] in ("row", "col")


def test_the_language_and_the_width_of_a_phone_are_told() -> None:
    shown = read(full())
    assert shown.named("html") == [{"lang": "en"}]
    assert "width=device-width, initial-scale=1" in [m.get("content") for m in shown.named("meta")]


# --- rejects by stream, and what is on its way


def two_streams() -> Detail:
    because = {"rejected": 3, "rejected_because": {"wrong_type": 3}}
    kept = {
        (name, "wrong_type"): rejected(3, ("born", f"'born' is wrong in {name}", 2))
        for name in ("contacts", "leads")
    }
    return detail(kept, streams={"contacts": because, "leads": because})


def test_rejects_show_column_cause_count_and_what_to_do() -> None:
    text = read(two_streams()).text
    assert "3 A value in it is of the wrong kind wrong_type" in text
    assert "2 born 'born' is wrong in leads" in text
    assert "1 other causes" in text
    assert "To do: Cast the column in the warehouse." in text


def test_rejects_are_chosen_by_stream_without_a_script() -> None:
    page_shown = read(two_streams())
    chosen = [one for one in page_shown.named("input") if one["type"] == "radio"]
    assert [one["id"] for one in chosen] == ["stream-all", "stream-1", "stream-2"]
    assert [one["for"] for one in page_shown.named("label")] == [one["id"] for one in chosen]
    assert [one["data-of"] for one in page_shown.named("div") if "data-of" in one] == ["1", "2"]
    text = page([two_streams().run], two_streams(), AT)
    assert 'section:has(#stream-2:checked) .of-stream:not([data-of="2"])' in text


def test_rejects_of_one_stream_need_no_choice() -> None:
    streams = {"contacts": {"rejected": 1, "rejected_because": {"wrong_type": 1}}}
    assert not read(detail(streams=streams)).named("input")


def test_values_that_wait_are_a_table() -> None:
    text = read(detail(waits=[waiting("website_url", 1200)])).text
    assert "On its way" in text
    assert "contacts website_url 1,200 2026-11-20 06:30 UTC 3 h 0 min" in text


def test_ten_thousand_rejects_make_no_long_page() -> None:
    because = {f"reason{n}": 500 for n in range(20)}
    kept = {
        ("contacts", reason): rejected(500, *((f"c{n}", f"'c{n}' is wrong", 10) for n in range(50)))
        for reason in because
    }
    streams = {"contacts": {"rejected": 10_000, "rejected_because": because}}
    shown = detail(kept, streams=streams)
    assert len(page([shown.run], shown, AT)) < 200_000
