"""Makes the pictures of a plan and of a report: ``python -m docs.tools.screenshots``.

The rows are those of the demo, and the runs are real ones against the sandbox, so that a picture
shows what a reader will see.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import which

from rich.console import Console
from rich.text import Text

from docs.tools.diagrams import BROWSERS, DOCS, PICTURES
from target_apollo.demo.crm_rows import Row, crm_rows
from target_apollo.demo.sandbox import API_KEY, running_sandbox

#: The picture of a plan, in the characters of a terminal.
COLUMNS = 110
#: The picture of a report, in pixels.
REPORT_SIZE = (1000, 660)
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" width="{width}"
 xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-family: system-ui, sans-serif; font-size: 16px; font-weight: bold; }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""


def singer(stream: str, rows: Sequence[Row]) -> Iterator[str]:
    """Rows as a tap sends them."""
    properties = {name: _type(rows, name) for name in rows[0]}
    schema = {"type": "SCHEMA", "stream": stream, "key_properties": ["id"]}
    yield json.dumps({**schema, "schema": {"properties": properties}})
    for row in rows:
        record = {"type": "RECORD", "stream": stream, "record": row}
        yield json.dumps(record, default=str)


def _type(rows: Sequence[Row], name: str) -> dict[str, list[str]]:
    kind = "integer" if any(isinstance(row[name], int) for row in rows) else "string"
    return {"type": ["null", kind]}


class Project:
    """A folder with settings, in which runs leave their files."""

    def __init__(self, folder: Path, api_url: str) -> None:
        self._folder = folder
        settings = {"api_key": API_KEY, "api_url": api_url}
        (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")

    def call(self, program: str, *arguments: str, rows: Sequence[str] = ()) -> str:
        """The output of a program of this package that reads rows."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / program), *arguments, "--config", "config.json"],
            cwd=self._folder,
            input="\n".join(rows),
            env={**os.environ, "COLUMNS": str(COLUMNS)},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        return done.stdout


def as_svg(text: str, title: str) -> str:
    """A text as a picture of a terminal, which takes no font from anywhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text(text.rstrip()))
    return console.export_svg(title=title, code_format=_FORMAT, unique_id="plan")


def photographed(page: Path, picture: Path) -> None:
    """Make a picture of a page in a browser without a window."""
    browser = next(filter(None, map(which, BROWSERS)))
    width, height = REPORT_SIZE
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    subprocess.run(
        [
            browser,
            *options,
            f"--window-size={width},{height}",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        capture_output=True,
        check=True,
        timeout=120,
    )


def main() -> None:
    """Make both pictures."""
    pictures = (DOCS / PICTURES).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_sandbox(folder / "sandbox.log") as sandbox:
            rows = crm_rows(accounts=120, contacts=600, workspace=sandbox.workspace())
            accounts = list(singer("crm-accounts", rows.accounts.rows))
            people = rows.contacts.rows
            project = Project(folder, sandbox.api_url)
            project.call("target-apollo", rows=[*accounts, *singer("crm-contacts", people[:400])])
            changed = [{**row, "title": "Head of Sales"} for row in people[:30]]
            later = [*accounts, *singer("crm-contacts", [*changed, *people[30:]])]
            plan = project.call("apollo-sync", "plan", rows=later)
            project.call("target-apollo", rows=later)
            project.call("apollo-sync", "report", "--html", "report.html")
        (pictures / "plan.svg").write_text(as_svg(plan, "apollo-sync plan"), encoding="utf-8")
        photographed(folder / "report.html", pictures / "report.png")


if __name__ == "__main__":
    main()
