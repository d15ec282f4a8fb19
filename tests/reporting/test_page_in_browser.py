"""The page of real runs in a real browser.

Leads go through the real mapper, rows through the real target into the sandbox; the page is what
`apollo-sync report --html` writes of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from target_apollo.cli import main
from target_apollo.ledger import Ledger
from target_apollo.reporting.page import page
from tests.helpers import leads
from tests.helpers.browser import FOUND, MISSING, WIDTHS, Browser
from tests.helpers.past_runs import AT, detail, rejected, waiting
from tests.promises.conftest import TargetRun, record, schema

pytestmark = [pytest.mark.full, pytest.mark.skipif(FOUND is None, reason=MISSING)]

HOSTILE = "<script>document.body.textContent = 'taken'</script>"
LIGHT, DARK = (0xF4, 0xF5, 0xF8), (0x0F, 0x12, 0x18)


@dataclass
class Shown:
    """A page, and the summary of the run that it is about."""

    path: Path
    summary: dict[str, Any]
    browser: Browser


@pytest.fixture
def shown(sync: Callable[..., TargetRun], tmp_path: Path) -> Shown:
    """The page after three runs, one of them killed, with leads that the mapper judged."""

    def ran(*messages: Any) -> TargetRun:
        done = sync(messages)
        runs = tmp_path / "runs"
        runs.mkdir(exist_ok=True)
        (runs / f"{done.summary['run_id']}.json").write_text(json.dumps(done.summary))
        return done

    people = [record("contacts", id=n, email=f"p{n}@firm.com", last_name="L") for n in range(30)]
    ran(schema("contacts"), *people)
    ledger_url = f"sqlite:///{tmp_path}/ledger.db"
    with Ledger.open(ledger_url) as ledger:
        # What a run leaves that is killed before its end.
        ledger.begin_run("killed", "team", ["contacts"], "upsert", datetime.now(timezone.utc))
    verdicts = tmp_path / "verdicts.jsonl"
    rules = {**leads.RULES, "owner_mapped": False}
    settings = leads.config(rules, verdicts_path=str(verdicts), output_stream="accounts")
    judging = leads.Pipeline(
        leads.read_settings(settings),
        leads.FixedClock(datetime.now(timezone.utc)),
        leads.logging.getLogger("leads"),
    )
    qualified = leads.process(
        judging,
        leads.schema(),
        *(leads.record(id=n, domain=f"firm{n}.com", name=f"Firm {n}") for n in range(8)),
        *(leads.record(id=n, icp_fit="weak") for n in range(8, 13)),
        leads.record(id=13, updated_at=datetime.now(timezone.utc).isoformat()),
    )
    changed = [record("contacts", id=n, email=f"p{n}@firm.com", last_name="M") for n in range(3)]
    twice = record("contacts", id="twice", email="p1@firm.com", last_name="M")
    bad = [record("contacts", id=key, email=None) for key in (HOSTILE, "x" * 70, 41, 42)]
    last = ran(*qualified, schema("contacts"), *changed, *people[5:], twice, *bad)
    config = tmp_path / "report.config"
    config.write_text(
        json.dumps(
            {
                "api_key": "k3y",
                "summary_path": str(tmp_path / "runs" / "any.json"),
                "rejects_path": str(tmp_path / "rejects.singer"),
                "ledger_url": ledger_url,
            }
        )
    )
    path = tmp_path / "page.html"
    arguments = ["--config", str(config), "--html", str(path), "--verdicts", str(verdicts)]
    assert main(["report", *arguments]) == 0
    return Shown(path, last.summary, Browser(tmp_path))


def test_the_browser_has_nothing_to_complain_of(shown: Shown) -> None:
    assert shown.browser.console(shown.path) == []


def test_a_style_that_the_policy_does_not_know_would_be_complained_of(shown: Shown) -> None:
    text = shown.path.read_text()
    shown.path.write_text(text.replace("<h1>", '<h1 style="color: red">'))
    assert "Content Security Policy" in "".join(shown.browser.console(shown.path))


def test_a_script_in_a_key_is_text_in_the_browser(shown: Shown) -> None:
    built = shown.browser.document(shown.path)
    assert "<script" not in built
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in built


def test_the_numbers_of_the_run_are_seen_at_every_width(shown: Shown) -> None:
    summary = shown.summary
    records = summary["records"]
    assert (records["created"], records["rejected"]) == (8, 4)
    phone, wide = (shown.browser.measured(shown.path)[at] for at in (1, -1))
    assert (phone["width"], wide["width"]) == (390, 1280)
    for measured in (phone, wide):
        text = " ".join(measured["text"].split())
        for said in (
            f"{records['received']} rows read in",
            f"created in Apollo {records['created']}",
            f"updated in Apollo {records['updated']}",
            f"needed no change {records['unchanged']}",
            "From 14 leads to Apollo",
            "Leads read 14",
            "Fits the ideal customer 9 5 did not meet it · icp_fit",
            "Nobody is editing it 8 1 held for a later run · settled",
            "In Apollo 8 Stream accounts created 8",
            "4 rows could not be written",
            "4 It has no e-mail address missing_email",
            HOSTILE,
            "1 group of duplicates",
            "killed",
            "No end noted".lower(),
        ):
            assert said in text, (measured["width"], said)
        for endpoint, sent in summary["api"]["requests"].items():
            minute = summary["api"]["quota"][endpoint]["minute"]
            assert endpoint in text
            assert f"{minute['usage']} of {minute['limit']}, {minute['left']} left" in text
            assert str(sent) in text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_and_bar_stands_out_and_nothing_is_wider_than_the_screen(
    shown: Shown, dark: bool
) -> None:
    measured = shown.browser.measured(shown.path, dark=dark)
    assert [one["width"] for one in measured] == list(WIDTHS)
    for one in measured:
        assert one["dark"] is dark
        assert one["needed"] == one["width"], one["beyond"]
        assert one["beyond"] == []
        assert one["worst"]["text"][0] >= 4.5, one["worst"]["text"]
        assert one["worst"]["bars"][0] >= 3, one["worst"]["bars"]
        assert one["smallest"] >= 11


@pytest.fixture
def rejecting(tmp_path: Path) -> Path:
    """The page of a run with ten thousand rejects of two streams, in long names."""
    because = {f"reason_{n}": 500 for n in range(10)}
    streams = {name: {"rejected": 5_000, "rejected_because": because} for name in ("a" * 90, "bb")}
    cause = ("c" * 90, f"'{'c' * 90}' must be text, not {HOSTILE}", 400)
    kept = {(name, reason): rejected(500, cause) for name in streams for reason in because}
    shown = detail(kept, [waiting("website_url" * 9, 10**7, "a" * 90)], streams=streams)
    path = tmp_path / "rejecting.html"
    path.write_text(page([shown.run], shown, AT))
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_ten_thousand_rejects_fit_every_width(rejecting: Path, tmp_path: Path, dark: bool) -> None:
    for one in Browser(tmp_path).measured(rejecting, dark=dark):
        assert one["needed"] <= one["width"]
        assert one["beyond"] == []
        assert one["worst"]["text"][0] >= 4.5, one["worst"]["text"]


def test_a_chosen_stream_hides_the_rejects_of_the_others(rejecting: Path, tmp_path: Path) -> None:
    browser, text = Browser(tmp_path), rejecting.read_text()
    assert browser.console(rejecting) == []
    assert all("aaa 5,000 rows" in one["text"] for one in browser.measured(rejecting))
    chosen = text.replace('id="stream-all" checked', 'id="stream-all"')
    rejecting.write_text(chosen.replace('id="stream-2"', 'id="stream-2" checked'))
    for one in browser.measured(rejecting):
        assert "aaa 5,000 rows" not in one["text"]
        assert "bb 5,000 rows" in one["text"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_painted_in_the_colours_of_its_scheme(
    shown: Shown, width: int, dark: bool
) -> None:
    image = shown.browser.picture(shown.path, width, 1600, dark=dark)
    assert (image.width, image.height) == (width, 1600)
    assert image.corner == (DARK if dark else LIGHT)
    assert image.lines > 300
