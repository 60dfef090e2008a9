"""No text can become markup."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.report.reading import Read

from evener.report.markup import Markup, group, tag


def test_strings_are_escaped_and_markup_is_not() -> None:
    made = tag("p", "<b> & ", tag("strong", "x"), None, class_='"><i>')
    assert made.text == ('<p class="&quot;&gt;&lt;i&gt;">&lt;b&gt; &amp; <strong>x</strong></p>')
    assert group(("<", Markup("<br>"), None)).text == "&lt;<br>"


def test_attributes_have_the_names_of_html_and_coordinates_are_short() -> None:
    assert tag("meta", charset="utf-8", http_equiv="x", name="y").text == (
        '<meta charset="utf-8" http-equiv="x" name="y">'
    )
    assert (
        tag("line", x1=1.0, x2=2.26, y1=3, y2=None).text == '<line x1="1" x2="2.3" y1="3"></line>'
    )


def test_what_cannot_be_seen_becomes_a_mark() -> None:
    hidden = "a\x00\x1b[2J\u202eb\ud800c\r\nd\te"
    assert tag("p", hidden).text == "<p>a??[2J?b?c\nd\te</p>"
    tag("p", hidden).text.encode()


@given(st.text(), st.text())
def test_whatever_it_is_it_is_text(content: str, attribute: str) -> None:
    made = tag("p", content, title=attribute)
    [element] = Read(made.text).elements
    assert element.name == "p"
    assert set(element.attributes) == {"title"}
    seen = content.replace("\r\n", "\n")
    assert len(element.text) == len(seen)
    assert all(a in (b, "?") for a, b in zip(element.text, seen, strict=True))
