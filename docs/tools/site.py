"""What the site does with a page beyond Markdown: mkdocs calls this, see .mkdocs.yml."""

from __future__ import annotations

import re
from typing import Any

from docs.tools.diagrams import with_pictures

_FENCE = re.compile(r"^```(\w+) .*$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """A page whose diagrams are pictures, which need no script of another host.

    The words after the language of a block are for the tests alone (tests/helpers/how_tos.py), and
    would keep it from being shown as one.
    """
    return _FENCE.sub(r"```\1", with_pictures(markdown, page.file.src_uri))
