"""What a shell, a machine or a container refuses a process is a sentence, and never a defect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
full = pytest.mark.full
SCHEMA = {"properties": {"id": {"type": "integer"}, "email": {"type": "string"}}}
LINES = [
    {"type": "SCHEMA", "stream": "contacts", "schema": SCHEMA, "key_properties": ["id"]},
    {"type": "STATE", "value": {"bookmarks": 1}},
]
INPUT = "".join(f"{json.dumps(line)}\n" for line in LINES)
#: All rules off: every lead passes.
RULES = (
    "company_only", "not_customer", "icp_fit", "stage", "not_quarantined", "valid_company",
    "owner_mapped", "not_synced", "settled",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").write_text(INPUT)
    (tmp_path / "m.json").write_text(json.dumps({"rules": dict.fromkeys(RULES, False)}))
    (tmp_path / "t.json").write_text(
        json.dumps({"api_key": "k", "api_url": "http://127.0.0.1:1/api/v1"})
    )
    return tmp_path


def shell(script: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and log of the last command of a script."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment},
        capture_output=True,
        timeout=90,
        check=False,
    )
    said = done.stderr.decode()
    assert "Traceback" not in said, said
    assert "defect" not in said, said
    return done.returncode, done.stdout.decode(), said


TARGET = "python -m target_apollo --config t.json"
MAPPER = "map-apollo-leads --config m.json"
FULL = "Standard output can't be written to: No space left on device."
CLOSED = "Standard output can't be written to: it is closed."
NO_READER = "Whoever reads standard output has ended before the end of it."


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (f"{TARGET} < in > /dev/full", FULL),
        pytest.param(f"{TARGET} < in >&-", CLOSED, marks=full),
        pytest.param(f"{TARGET} < in | true", NO_READER, marks=full),
        pytest.param(f"{TARGET} <&-", "Standard input can't be read: it is closed.", marks=full),
        pytest.param("target-apollo --about > /dev/full", FULL, marks=full),
        pytest.param(f"{MAPPER} < in > /dev/full", FULL, marks=full),
        pytest.param(f"{MAPPER} < in >&-", CLOSED, marks=full),
        pytest.param(f"{MAPPER} < in | true", "The target closed its input", marks=full),
        (f"{MAPPER} <&-", "Standard input can't be read: it is closed."),
        pytest.param("tap-apollo-sync --config t.json > /dev/full", FULL, marks=full),
        pytest.param("tap-apollo-sync --config t.json >&-", CLOSED, marks=full),
        pytest.param("tap-apollo-sync --config t.json | true", "the loader has ended", marks=full),
        pytest.param("tap-apollo-sync --discover > /dev/full", FULL, marks=full),
        ("apollo-sync --help > /dev/full", FULL),
        pytest.param("apollo-sync completion bash >&-", CLOSED, marks=full),
        pytest.param("apollo-sync completion bash | true", NO_READER, marks=full),
        pytest.param(f"{TARGET} < in; apollo-sync report --config t.json | true", NO_READER,
                     marks=full),
        pytest.param("apollo-sync plan --config t.json in > /dev/full", FULL, marks=full),
    ],
)  # fmt: skip
def test_streams_that_are_closed_or_full_are_said(folder: Path, script: str, sentence: str) -> None:
    # A reader that has ended leaves time to be noticed: `true` would win the race otherwise.
    code, _, said = shell(script.replace("| true", "| exec sh -c 'exec <&-; sleep 4'"), folder)
    assert (code, sentence in said) == (1, True), said


@pytest.mark.full
@pytest.mark.parametrize(
    "script",
    [
        f"{TARGET} < in 2>&-",
        pytest.param(f"{TARGET} < in 2>/dev/full", marks=full),
        pytest.param(f"{MAPPER} < in 2>&-", marks=full),
        pytest.param(f"{MAPPER} < in 2>/dev/full", marks=full),
    ],
)
def test_without_standard_error_a_run_goes_on(folder: Path, script: str) -> None:
    code, out, _ = shell(script, folder)
    assert (code, '"bookmarks":1' in out.replace(" ", "")) == (0, True)


@full
def test_no_file_is_opened_in_the_place_of_a_closed_stream(folder: Path) -> None:
    row = '{"type": "RECORD", "stream": "contacts", "record": {"id": "one", "email": ""}}'
    (folder / "in").write_text(f"{json.dumps(LINES[0])}\n{row}\n")
    # With a ledger, a run asks for its team before it rejects anything.
    config = json.loads((folder / "t.json").read_text())
    (folder / "t.json").write_text(json.dumps({**config, "ledger_url": ""}))
    shell(f"{TARGET} < in >&- 2>&-", folder)
    rejects = (folder / ".target-apollo" / "rejects.singer").read_text().splitlines()
    assert [json.loads(line)["type"] for line in rejects] == ["SCHEMA", "RECORD"]


@full
@pytest.mark.parametrize("script", ["apollo-sync report 2>/dev/full", "apollo-sync report 2>&-"])
def test_an_exit_code_outlasts_standard_error(folder: Path, script: str) -> None:
    code, _, _ = shell(f"{script} --config nowhere.json", folder)
    assert code == 2


@pytest.mark.full
@pytest.mark.parametrize(
    ("program", "variable"),
    [
        (f"{TARGET} < in", "LOGLEVEL"),
        pytest.param(f"{TARGET} < in", "TARGET_APOLLO_LOGLEVEL", marks=full),
        pytest.param(f"{MAPPER} < in", "LOGLEVEL", marks=full),
        pytest.param("tap-apollo-sync --discover", "TAP_APOLLO_SYNC_LOGLEVEL", marks=full),
        pytest.param("apollo-sync plan --config t.json in", "LOGLEVEL", marks=full),
    ],
)
def test_an_unknown_log_level_is_said_and_changes_nothing(
    folder: Path, program: str, variable: str
) -> None:
    code, out, said = shell(program, folder, **{variable: "loud"})
    assert code == 0
    assert f"The environment variable {variable} holds no log level" in said
    assert out


POSIX = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ODD_ENVIRONMENTS: list[dict[str, str]] = [
    POSIX,
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1:strict"},
    {"HOME": ""},
    {"TMPDIR": "/nowhere"},
    {"PYTHONOPTIMIZE": "1"},
    {"PYTHONOPTIMIZE": "2"},
    {"SSL_CERT_FILE": "/nowhere"},
]
OTHERS = (
    f"{MAPPER} < in", "tap-apollo-sync --discover", "apollo-sync --help", "target-apollo --about",
    "map-apollo-leads --about", "apollo-sync plan --config t.json in",
)  # fmt: skip


@full
@pytest.mark.parametrize(
    ("script", "environment"),
    [
        *((f"{TARGET} < in", environment) for environment in ODD_ENVIRONMENTS),
        *((script, {**POSIX, "HOME": "", "PYTHONOPTIMIZE": "2"}) for script in OTHERS),
    ],
    ids=str,
)
def test_an_odd_environment_changes_nothing(
    folder: Path, script: str, environment: dict[str, str]
) -> None:
    code, out, said = shell(script, folder, **environment)
    assert (code, bool(out)) == (0, True), said


@pytest.mark.full
@pytest.mark.parametrize(
    ("limit", "script"),
    [
        ("ulimit -f 0", f"{TARGET} < in"),
        pytest.param("ulimit -n 16", f"{TARGET} < in", marks=full),
        pytest.param("ulimit -n 8", f"{MAPPER} < in", marks=full),
        pytest.param("ulimit -n 6", "apollo-sync report --config t.json", marks=full),
        pytest.param("mkdir x && cd x && rmdir ../x", f"{TARGET.replace('t.json', '../t.json')}"
                     " < /dev/null", marks=full),
    ],
)  # fmt: skip
def test_a_limit_of_the_machine_is_no_defect(folder: Path, limit: str, script: str) -> None:
    code, _, said = shell(f"{limit}; {script}", folder)
    assert code in (0, 1, 2), said


@pytest.mark.full
def test_certificates_that_are_missing_are_a_wrong_setting(folder: Path) -> None:
    settings = {"api_key": "k", "api_url": "https://nowhere.invalid/api/v1", "max_retries": 0}
    (folder / "t.json").write_text(json.dumps(settings))
    with (folder / "in").open("a") as file:
        file.write('{"type": "RECORD", "stream": "contacts", "record": '
                   '{"id": 1, "email": "a@b.com"}}\n')  # fmt: skip
    code, _, said = shell(f"{TARGET} < in", folder, REQUESTS_CA_BUNDLE="/nowhere.pem")
    assert (code, "The certificates in /nowhere.pem" in said) == (2, True), said
