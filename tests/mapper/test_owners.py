"""The mapping from users of the warehouse to users of Apollo, inline and from a CSV file."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.rules.owner import Owner, read_owners

ID = "64f00000000000000000000a"
OTHER = "64f00000000000000000000b"


def csv(tmp_path: Path, text: str) -> str:
    path = tmp_path / "users.csv"
    path.write_bytes(text.encode("utf-8"))
    return str(path)


def test_a_csv_file_maps_ids_and_emails(tmp_path: Path) -> None:
    owners = read_owners(
        {}, csv(tmp_path, f"user_id,apollo\r\n7,{ID}\r\n\r\nann, Ann@Corp.de \r\n")
    )
    assert owners.of(7) == Owner("owner_id", ID)
    assert owners.of("ANN") == Owner("owner_email", "ann@corp.de")
    assert owners.fields == {"owner_id", "owner_email"}
    assert owners.of(8) is None


def test_a_csv_file_needs_no_header_and_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    assert read_owners({}, csv(tmp_path, f"\ufeff7,{ID}\n")).of("7") == Owner("owner_id", ID)


def test_an_inline_entry_wins_over_the_file(tmp_path: Path) -> None:
    owners = read_owners({"7": OTHER}, csv(tmp_path, f"7,{ID}\n"))
    assert owners.of(7) == Owner("owner_id", OTHER)


@pytest.mark.parametrize("text", [f"7,{ID}\n8,nobody\n", "7\n", f"7,{ID}\n,{ID}\n"])
def test_a_line_that_maps_nothing_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"map_path: line \d of .*users.csv must hold"):
        read_owners({}, csv(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"map_path: .*nobody\.csv can't be read: No such file"):
        read_owners({}, str(tmp_path / "nobody.csv"))


def test_an_inline_entry_that_is_no_user_is_named_without_its_value() -> None:
    with pytest.raises(SettingsError, match="the entry of user '7' is neither") as caught:
        read_owners({"7": "ann at corp"}, None)
    assert "ann" not in str(caught.value)


def test_a_file_without_any_user_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="maps no user"):
        read_owners({}, csv(tmp_path, "user_id,apollo\n"))
