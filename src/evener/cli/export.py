"""`evener export`: what other programs read of a run, or a job for where evener is not.

The model is what is meant where the first word is no other export's name.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from evener import api
from evener.cli import console, offline, options, runs
from evener.cli.typed import typed
from evener.errors import BadCommand, RunActive
from evener.launch import folder, planning, stack_folder
from evener.launch.compose import RUNS, Read
from evener.launch.folder import README
from evener.launch.places import alive, launcher_of
from evener.launch.stack import STACK
from evener.rundir import layout, series_export
from evener.rundir.layout import RunDir
from evener.rundir.series_export import Format as Tables
from evener.rundir.store import Store
from evener.rundir.tensorboard import TensorBoard
from evener.units import show_size

MODEL = "model"


class Exports(typer.core.TyperGroup):
    """`evener export RUN` means `evener export model RUN`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [MODEL, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        formatter.write_usage(ctx.command_path, "[RUN | COMMAND] ...")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Of the model's export; the others explain themselves."""
        self.commands[MODEL].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


app = options.verb_app(Exports)


class Format(StrEnum):
    """safetensors is safe to open whoever wrote it; pth is what older programs read."""

    safetensors = "safetensors"
    pth = "pth"


@app.callback()
def _export() -> None:
    """Write what other programs read: a run's model or numbers, or a job to a folder."""


@app.command()
def model(
    run: options.RunName = None,
    form: Annotated[Format, typer.Option("--format", help="Of the file.")] = Format.safetensors,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Otherwise: in the run's folder."),
    ] = None,
    checkpoint: options.Which = "best",
    as_json: options.AsJson = False,
    root: options.Root = None,
) -> None:
    """Write the model to a file that other programs read."""
    found = runs.resolve(run, root)
    arguments: dict[str, Any] = {
        "format": form.value,
        "checkpoint": runs.checkpoint(checkpoint),
    }
    if output is not None:
        arguments["output"] = str(output.absolute())
    result = offline.ask("export", found.path, arguments)
    if as_json:
        typer.echo(json.dumps({"run": found.name, **result}))
        return
    size = show_size(float(result["size_bytes"]))
    path = output or result["path"]
    typer.echo(f"{path} written ({size}): {found.name} as it was at step {result['step']}")


Folder = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="Otherwise: JOB-compose, JOB-stack."),
]
Override = Annotated[
    list[str] | None,
    typer.Option("--override", metavar="KEY=VALUE", help="Set a key of the job; may be repeated."),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="How many machines train.")]


@app.command()
def compose(
    job: options.JobName,
    output: Folder = None,
    override: Override = None,
    workers: Workers = None,
) -> None:
    """Write a folder for `docker compose up`.

    Neither evener nor Python is needed where it is used. JOB is a job file, a recipe or a
    script of yours, whose folder goes along.
    """
    target = _target("compose", job, output)
    with folder.building(target) as beside:
        request = api.RunRequest(job, tuple(override or ()), workers, root=beside / RUNS)
        ready = api.prepare_elsewhere(request, planning.for_compose, (target, beside))
        reads = folder.fill(beside, _ready_to_write(ready, (target, beside)))
    _tell(target, ready, reads, "docker compose up")


@app.command()
def stack(
    job: options.JobName,
    output: Folder = None,
    override: Override = None,
    workers: Workers = None,
) -> None:
    """Write a folder for `docker stack deploy`.

    For the machines of the Swarm that this one manages; elsewhere for --workers machines, whose
    names are said when it is deployed. JOB is a job file, a recipe or a script of yours, whose
    folder goes along.
    """
    target = _target("stack", job, output)
    with folder.building(target, stack_folder.NAMES) as beside:
        request = api.RunRequest(job, tuple(override or ()), workers, root=beside)
        ready = api.prepare_elsewhere(request, planning.for_stack, (target, beside))
        reads = stack_folder.fill(beside, _ready_to_write(ready, (target, beside)))
    _tell(target, ready, reads, f"docker stack deploy -c {STACK} {ready.name}")
    typer.echo(f"  before that, every machine needs the image: {README} there says how")


def _target(kind: str, job: str, output: Path | None) -> Path:
    if output is not None and "=" in output.name:
        raise BadCommand(
            f"{output} looks like a key of the job, and -o is --output here",
            where=f"evener export {kind}",
            fix=f"--override {output}",
        )
    return (output or Path(f"{Path(job).stem}-{kind}")).absolute()


def _ready_to_write(ready: api.Ready, leave_out: tuple[Path, ...]) -> folder.Export:
    content = api.image_content(ready)
    return folder.Export(ready.name, ready.job, ready.plan, content, leave_out)


def _tell(target: Path, ready: api.Ready, reads: Iterable[Read], command: str) -> None:
    for note in ready.notes:
        console.note(note)
    for read in (r for r in reads if not r.is_volume and not Path(r.source).exists()):
        console.note(f"{read.source} is not here; containers will look for it: {read.variable}")
    shown = typed(os.path.relpath(target))
    machines = len(ready.plan.agents)
    many = f"{machines} machine" + ("s" if machines > 1 else "")
    typer.echo(f"{shown} written: {ready.name} on {many}")
    typer.echo(f"  train  cd {shown}")  # Windows' own PowerShell knows no `&&`
    typer.echo(f"         {command}")


@app.command()
def series(
    run: options.RunName = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Otherwise: RUN.csv, here."),
    ] = None,
    form: Annotated[
        Tables | None, typer.Option("--format", help="Otherwise: as FILE is called, or csv.")
    ] = None,
    root: options.Root = None,
) -> None:
    """Write all numbers of a run as tables.

    FILE has the loss, every metric and validation by step; a second one, FILE-ranks, where the
    time of each rank went.
    """
    found = runs.resolve(run, root)
    called = Tables.parquet if output and output.suffix == ".parquet" else Tables.csv
    chosen = form or called
    with _record(found) as store:
        written = series_export.write(store, output or Path(f"{found.name}.{chosen}"), chosen)
    for path, rows in written.items():
        typer.echo(f"{path} written: {rows} rows")


@app.command()
def tensorboard(
    run: options.RunName = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Otherwise: tensorboard, here."),
    ] = None,
    root: options.Root = None,
) -> None:
    """Write a run's numbers and texts for TensorBoard.

    With log.tensorboard in the job they are written while it trains. FOLDER may have several
    runs; written again, a run goes on where it was.
    """
    found = runs.resolve(run, root)
    target = output or Path("tensorboard")
    with _record(found) as store:
        TensorBoard(target / found.name, store).write()
    typer.echo(f"{target / found.name} written")
    typer.echo(f"  look  tensorboard --logdir {typed(str(target))}")


@app.command()
def grafana(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="Where to."),
    ] = Path("evener-grafana.json"),
) -> None:
    """Write a Grafana dashboard of what Prometheus reads at /metrics of a run's page."""
    text = (resources.files("evener") / "dashboard" / "grafana.json").read_text("utf-8")
    layout.write_atomic(output, text)
    typer.echo(f"{output} written: import it in Grafana, and choose your Prometheus there")


@contextlib.contextmanager
def _record(run: RunDir) -> Iterator[Store]:
    """A run's record, unless it is being written on another kernel's disk."""
    launcher = launcher_of(run)
    if alive(run, launcher) and launcher.head(run) is not None:
        raise RunActive(
            f"{run.name} is still going, and its record is only shared with this machine",
            where=str(run.path),
            fix="export it when it has ended; its page has all charts meanwhile",
        )
    with Store.open(run.db, write=False) as store:
        yield store
