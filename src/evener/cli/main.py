"""The `evener` command: the list of verbs, each loaded only when it is called, and their end."""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
import typer.core

from evener.cli import console
from evener.errors import INTERRUPTED_EXIT_STATUS, BadCommand, EvenerError

# What the parser raises has no name in typer; its public child leads to it.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb is its name, the module that does it, and the line that the list of verbs shows."""

    name: str
    help: str
    module: str = ""

    def load(self) -> Any:
        module = importlib.import_module(f"evener.cli.{self.module or self.name}")
        command: Any = typer.main.get_command(module.app)
        command.name = self.name
        return command


VERBS: dict[str, tuple[Verb, ...]] = {
    "Train": (
        Verb("run", "Train a job: a job file, or one of the recipes."),
        Verb("resume", "Go on with a run that was stopped, or died."),
        Verb("plan", "Show who would train on what, and what each adds.", module="forecast"),
        Verb("bench", "Measure machines, and what each rank does of a job."),
        Verb("init", "Write a job file: a recipe's, or one for a script."),
        Verb("recipes", "List the recipes that come with evener."),
        Verb("config", "Show what a job means, and what a job file may say."),
    ),
    "Bring machines together": (
        Verb("up", "Make this machine a pool that others join."),
        Verb("join", "Wait for runs of a pool, on this machine."),
        Verb("nodes", "List the machines of the pool."),
        Verb("leave", "Take this machine out of its pool."),
        Verb("down", "End the pool of this machine."),
        Verb("token", "Make, list and revoke the codes that let machines in."),
        Verb("swarm", "Make a Docker Swarm of several machines."),
        Verb("image", "Build, list and move the images that containers run."),
    ),
    "Watch and stop": (
        Verb("dashboard", "Open the live page of a run, or of all."),
        Verb("ps", "List the runs that are going, or all."),
        Verb("status", "Show one run as it is now."),
        Verb("top", "Watch one run full screen: curves, ranks, machines."),
        Verb("logs", "Show what the ranks wrote."),
        Verb("stop", "Stop a run, with a checkpoint."),
    ),
    "Use what was learned": (
        Verb("audit", "Prove that a run kept its promises."),
        Verb("report", "Write a run as one page of HTML, with charts."),
        Verb("ckpt", "List a run's checkpoints, verify them, remove some."),
        Verb("sample", "Let a language model write."),
        Verb("eval", "Measure a checkpoint on the validation data.", module="evaluate"),
        Verb("export", "Write the model, its numbers or a job for other programs."),
    ),
}
BY_NAME = {verb.name: verb for verbs in VERBS.values() for verb in verbs}


class Verbs(typer.core.TyperGroup):
    """The group of all verbs. Listing them imports none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(BY_NAME)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        verb = BY_NAME.get(cmd_name)
        return verb.load() if verb else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in BY_NAME and not args[0].startswith("-"):
            raise BadCommand(f"there is no verb {args[0]!r}", fix=_meant(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, verbs in VERBS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{verb.name:10}", verb.help) for verb in verbs])


@dataclass(slots=True)
class Asked:
    """What the options before the verb said; read where errors are printed."""

    debug: bool = False


app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each verb explains itself: evener VERB --help",
)


def _show_version(value: bool) -> None:
    if value:
        import evener

        typer.echo(f"evener {evener.__version__}")
        raise typer.Exit


def _note_debug(ctx: typer.Context, value: bool) -> None:
    """Noted while the options are read: an error may come before any verb is found."""
    ctx.ensure_object(Asked).debug = value


@app.callback()
def _evener(
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show where in the code an error arose.", callback=_note_debug
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Train a PyTorch model on unequal machines as if they were one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Every failure becomes a sentence and an exit status, here and only here."""
    console.prepare_streams()
    args = list(sys.argv[1:] if arguments is None else arguments)
    asked = Asked()
    try:
        status = typer.main.get_command(app).main(
            args, prog_name="evener", standalone_mode=False, obj=asked
        )
        return status if isinstance(status, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED_EXIT_STATUS
    except EvenerError as error:
        return _end(error, asked)
    except UsageError as error:
        return _usage(error, args, asked)
    except Exception as error:  # noqa: BLE001  (the last place that can still explain)
        return _end(_unexpected(error), asked)


def _end(error: EvenerError, asked: Asked) -> int:
    if asked.debug:
        traceback.print_exc()
    console.print_error(error)
    return error.exit_status


def _usage(error: Any, args: Sequence[str], asked: Asked) -> int:
    """The parser's complaint in the form of every other error. No verb at all: the list of them."""
    context = getattr(error, "ctx", None)
    if context is not None and not args:
        typer.echo(context.get_help())
        return BadCommand.exit_status
    command = context.command_path if context is not None else "evener"
    what = error.format_message().rstrip(".")
    fix = f"{command} --help"
    if what.startswith("No such option") and any(each.endswith(".py") for each in args[1:]):
        fix = f"what a script is given stands after `--`; {fix}"
    return _end(BadCommand(what, where=command, fix=fix), asked)


def _unexpected(error: Exception) -> EvenerError:
    return EvenerError(
        f"evener itself failed: {type(error).__name__}: {error}",
        fix="call it once more as `evener --debug ...` and report what it says",
    )


def _meant(name: str) -> str:
    close = difflib.get_close_matches(name, BY_NAME, n=1)
    return f"did you mean `evener {close[0]}`?" if close else "`evener --help` lists the verbs"
