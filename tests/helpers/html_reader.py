"""What a browser would make of a page: its tags with attributes, and its texts."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"br", "meta", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Reads a page; `unclosed` are the tags that it leaves open."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.unclosed: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((name, {key: value or "" for key, value in attributes}))
        if name not in VOID:
            self.unclosed.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.unclosed.pop() == name

    def handle_data(self, text: str) -> None:
        if self.unclosed and self.unclosed[-1] not in ("style", "script"):
            self.texts.append(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def named(self, *names: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name in names]

    @property
    def addresses(self) -> list[str]:
        """Where its links lead."""
        return [attributes["href"] for attributes in self.named("a")]
