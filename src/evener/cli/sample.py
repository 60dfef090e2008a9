"""`evener sample`: a trained language model writes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from evener.cli import console, offline, options, runs

app = options.verb_app()


@app.command()
def sample(
    run: options.RunName = None,
    prompt: Annotated[str, typer.Option("--prompt", help="Where the text begins.")] = "\n",
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="How much is written.")] = 200,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0.01, help="Below 1: safer; above: wilder.")
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=1, help="Choose among the K likeliest only.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same text.")] = 1,
    checkpoint: options.Which = "best",
    as_json: options.AsJson = False,
    root: options.Root = None,
) -> None:
    """Let a run's language model write, from a checkpoint of its own."""
    found = runs.resolve(run, root)
    terminal = console.out().is_terminal
    arguments = {
        "prompt": prompt,
        "tokens": tokens,
        "temperature": temperature,
        "top_k": top_k,
        "seed": seed,
        "checkpoint": runs.checkpoint(checkpoint),
    }

    def show(text: str) -> None:
        typer.echo(console.clean(text) if terminal else text, nl=False)

    if as_json:
        parts: list[str] = []
        result = offline.ask("sample", found.path, arguments, on_text=parts.append)
        typer.echo(json.dumps({"prompt": prompt, "text": "".join(parts), **result}))
        return
    show(prompt)
    result = offline.ask("sample", found.path, arguments, on_text=show)
    typer.echo("")
    console.note(f"written by {found.name} as it was at step {result['step']}")
