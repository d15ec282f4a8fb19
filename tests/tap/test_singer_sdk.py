"""The Singer SDK's own tests for taps, against the sandbox and a ledger that is not empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.singerlib import Catalog
from singer_sdk.testing import SuiteConfig, TapTestRunner, get_tap_test_class

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus
from target_apollo.tap.tap import TapApolloSync
from tests.helpers.new_sandbox import new_sandbox
from tests.tap.conftest import created, save


def _all_selected() -> Catalog:
    catalog = TapApolloSync(config={}).catalog
    for stream in catalog.values():
        stream.metadata.root.selected = True
    return catalog


Standard: Any = get_tap_test_class(
    TapApolloSync, config={"api_key": "sandbox", "api_url": "http://127.0.0.1:1/api/v1"},
    parse_env_config=False, catalog=_all_selected(),
)  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"
    with Ledger.open(url) as ledger:
        save(ledger, created("1"), LinkOutcome("2", LinkStatus.ERROR, error="unknown_name"))
    with new_sandbox() as sandbox:
        sandbox.store.add_custom_field("contact", "Score", "picklist", ["High", "Low"])
        sandbox.store.add_account(domain="firm.com", label_names=["Trials"])
        sandbox.store.add_contact(email="ann@firm.com")
        sandbox.store.deals.add(name="Renewal", amount=5)
        sandbox.store.sequences.add("Welcome")
        yield {"api_key": sandbox.api_key, "api_url": sandbox.url, "ledger_url": url}


class TestStandardOfTheSdk(Standard):  # type: ignore[misc]
    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, settings: dict[str, Any]) -> TapTestRunner:
        runner = TapTestRunner(
            TapApolloSync, config=settings, suite_config=SuiteConfig(), parse_env_config=False,
            catalog=_all_selected(),
        )  # fmt: skip
        runner.sync_all()
        return runner


def test_the_ledger_is_where_the_target_keeps_it_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Ledger.open("sqlite:///.target-apollo/ledger.db") as ledger:
        save(ledger, created("1"))
    tap = TapApolloSync(config={})
    assert tap.config["ledger_url"] == "sqlite:///.target-apollo/ledger.db"
    assert [record["source_key"] for record in tap.streams["apollo_sync_results"].get_records({})]
