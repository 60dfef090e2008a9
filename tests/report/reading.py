"""A report as a browser reads it: elements, attributes, text. What is badly nested is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = ("meta", "br")
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "h1", "h2",
    "p", "strong", "span", "dl", "div", "dt", "dd", "figure", "figcaption", "ul", "li", "table",
    "thead", "tbody", "tr", "th", "td", "pre",
    "svg", "desc", "path", "line", "text", "rect", "circle", "g",
}  # fmt: skip


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    text: str = ""  # its own and that of all in it
    path: tuple[str, ...] = ()


@dataclass
class Read(HTMLParser):
    source: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self, convert_charrefs=True)
        self._open: list[Element] = []
        self.feed(self.source)
        self.close()
        assert not self._open, f"never closed: {[e.name for e in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        path = tuple(element.name for element in self._open)
        element = Element(tag, {k: v or "" for k, v in attrs}, path=path)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        opened = self._open.pop()
        assert opened.name == tag, f"</{tag}> closes {opened.name}"

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, name: str, class_: str = "") -> list[Element]:
        return [
            e
            for e in self.elements
            if e.name == name and (not class_ or class_ in e.attributes.get("class", "").split())
        ]

    def section(self, title: str) -> Element:
        """The section under that heading."""
        [found] = [e for e in self.all("section") if e.text.startswith(title)]
        return found


def check_is_harmless(read: Read) -> None:
    """Known elements only, nothing that runs, nothing that loads, ids that are one of a kind."""
    assert {element.name for element in read.elements} <= KNOWN
    ids = [e.attributes["id"] for e in read.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in read.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on"), (element.name, name)
            assert name not in ("style", "href", "src", "xlink:href", "action", "srcdoc"), name
            if name == "aria-labelledby":
                assert set(value.split()) <= set(ids)
    for svg in read.all("svg"):
        assert "aria-labelledby" in svg.attributes or svg.attributes["aria-hidden"] == "true"
