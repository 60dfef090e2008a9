"""`evener audit`: what every rank says it computed, held against the promises."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from evener import audit as promises
from evener import watch
from evener.cli import console, options, runs
from evener.cli.paper import columns, text
from evener.errors import BadCommand, PromiseBroken
from evener.launch.places import launcher_of

app = options.verb_app()
STYLES = {True: ("kept", "green"), False: ("BROKEN", "bold red")}


@app.command()
def audit(
    run: options.RunName = None, as_json: options.AsJson = False, root: options.Root = None
) -> None:
    """Prove from the ledgers of its ranks that a run lost nothing and did nothing twice."""
    found = runs.resolve(run, root)
    if watch.present(found, launcher_of(found)).is_torchrun:
        raise BadCommand(
            f"{found.name} is a torchrun script: of its steps only what it prints is known",
            where="evener audit",
            fix="audit a run of evener's own engine",
        )
    findings = promises.audit(found)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        typer.echo(json.dumps({"run": found.name, "findings": rows}, indent=2))
    else:
        for line in columns(
            [[text(f.promise), text(STYLES[f.kept]), text(f.text)] for f in findings]
        ):
            console.out().print(line, soft_wrap=True)
    broken = [finding.promise for finding in findings if not finding.kept]
    if broken:
        raise PromiseBroken(
            f"{found.name} did not keep: {', '.join(broken)}", where=str(found.path)
        )
