"""The page: its parts in the order in which somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator

from evener.report import pictures, tables
from evener.report.markup import Child, Markup, group, tag
from evener.report.material import Material
from evener.report.style import STYLE

# A page that is mailed around loads nothing and runs nothing, whatever else is in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(material: Material) -> str:
    """One HTML file, the same text for the same material."""
    name = material.state.run or "run"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{name}: {material.state.phase}"),
        tag("style", Markup(STYLE)),
    )
    body = tag("body", tag("main", *_parts(material)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en').text}\n"


def _parts(material: Material) -> Iterator[Child]:
    state = material.state
    yield tables.head(state)
    if state.error:
        yield tables.error(state.error)
    yield tables.numbers(material)
    yield _section("What was learned", pictures.losses(material), *pictures.metrics(material))
    speed, together = pictures.throughput(material), tables.together(state)
    yield _section("How fast", speed, together, pictures.time_split(material))
    yield _section("Ranks", tables.ranks(state) if state.ranks else None)
    yield _section("Machines", tables.machines(state) if state.machines else None)
    yield _section("What happened", tables.timeline(material.told) if material.told else None)
    yield _section("Alerts", tables.alerts(state) if state.alerts else None)
    yield _section("Checkpoints", tables.checkpoints(state) if state.checkpoints else None)
    yield _section("Texts", tables.texts(state) if state.texts else None)
    yield _section("The job", tables.job(material.job) if material.job else None)


def _section(title: str, *content: Markup | None) -> Markup | None:
    """None where there is nothing to say."""
    known = [part for part in content if part is not None]
    return tag("section", tag("h2", title), group(known)) if known else None
