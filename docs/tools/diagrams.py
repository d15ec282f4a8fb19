"""Draws the diagrams of the pages: ``python -m docs.tools.diagrams mermaid.min.js``.

A page has a diagram as a fenced block of mermaid, which GitHub draws by itself. For the site, and
for the README, each is a picture in docs/pictures, drawn once by mermaid in a browser without a
window: no reader's browser has to ask for mermaid anywhere. A picture notes the digest of its
block, so that a test fails while it is out of date.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path("docs")
PICTURES = "pictures"
#: Programs that draw, the first that is there.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

_BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_VIEW = re.compile(r'<svg id="\w+" width="100%"(.*?) style="[^"]*" viewBox="([^"]+)"', re.DOTALL)
_PAGE = """<!doctype html><meta charset="utf-8"><body><script src="{library}"></script><script>
mermaid.initialize({{startOnLoad: false, theme: "neutral", fontFamily: "system-ui, sans-serif",
  htmlLabels: false, flowchart: {{htmlLabels: false, wrappingWidth: 260}}}});
mermaid.render("{name}", {source}).then(drawn => {{ document.body.innerHTML = drawn.svg; }});
</script></body>"""


@dataclass(frozen=True)
class Diagram:
    """A block of mermaid.

    Attributes:
        name: Of its picture: the page's name and the block's number on it.
        source: What is drawn.
    """

    name: str
    source: str

    @property
    def file(self) -> str:
        """The name of its picture's file."""
        return f"{self.name}.svg"

    @property
    def mark(self) -> str:
        """What its picture says that it was drawn from."""
        return f"<!-- drawn from {hashlib.sha256(self.source.encode()).hexdigest()[:16]} -->"


def diagrams_of(page: Path) -> list[Diagram]:
    """The diagrams of a page, in their order."""
    sources = _BLOCK.findall(page.read_text(encoding="utf-8"))
    name = page.stem.lower()
    return [Diagram(f"{name}-{number}", source) for number, source in enumerate(sources, 1)]


def all_diagrams(docs: Path = DOCS) -> Iterator[Diagram]:
    """The diagrams of all pages."""
    for page in sorted(docs.rglob("*.md")):
        yield from diagrams_of(page)


def with_pictures(markdown: str, page: str) -> str:
    """A page with pictures in place of its diagrams; `page` is its path in docs."""
    up = "../" * page.count("/")
    name = Path(page).stem.lower()
    numbers = iter(range(1, len(markdown)))

    def picture(_: re.Match[str]) -> str:
        file = f"{up}{PICTURES}/{name}-{next(numbers)}.svg"
        return f'<div class="diagram" markdown="1">\n\n![Diagram]({file})\n\n</div>\n'

    return _BLOCK.sub(picture, markdown)


def drawn(diagram: Diagram, library: Path, browser: str) -> str:
    """The picture of a diagram.

    Raises:
        ValueError: mermaid did not draw it.
    """
    text = _PAGE.format(
        library=html.escape(library.resolve().as_uri()),
        name=diagram.name.replace("-", ""),
        source=json.dumps(diagram.source),
    )
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "diagram.html"
        page.write_text(text, encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
        done = subprocess.run(
            [browser, *options, "--dump-dom", page.as_uri()],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    found = re.search(r"<svg.*</svg>", done.stdout, re.DOTALL)
    if found is None:
        raise ValueError(f"mermaid did not draw {diagram.name}")
    return f"{diagram.mark}\n{_with_size(found[0])}\n"


def _with_size(svg: str) -> str:
    """A picture with a size of its own and a light ground, so that it is readable in the dark."""
    found = _VIEW.search(svg)
    if found is None:
        return svg
    _, _, width, height = found[2].split()
    style = "background: #fff; border-radius: 6px; max-width: 100%; height: auto"
    head = f'<svg id="{_id(svg)}" width="{width}" height="{height}"{found[1]} style="{style}" '
    return svg.replace(found[0], f'{head}viewBox="{found[2]}"', 1).replace("<br>", "<br/>")


def _id(svg: str) -> str:
    return svg.split('id="', 1)[1].split('"', 1)[0]


if __name__ == "__main__":
    from shutil import which

    program = next(filter(None, map(which, BROWSERS)))
    for one in all_diagrams():
        path = DOCS / PICTURES / one.file
        if not path.exists() or one.mark not in path.read_text(encoding="utf-8"):
            path.write_text(drawn(one, Path(sys.argv[1]), program), encoding="utf-8")
