"""`python -m evener.cli.keep RUN`: the head's container of a stack. The run begins or goes on, its
head keeps the record, and lines say how it goes, for `docker service logs`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

import typer

from evener import contract
from evener.cli import console
from evener.cli.begin import sentence
from evener.cli.progress import shown
from evener.config.load import job_from_json
from evener.contract import HeadEnv
from evener.errors import DataMissing, EvenerError
from evener.launch import belongings, stack
from evener.launch.begin import Begun, begin
from evener.rundir import cargo, layout
from evener.rundir.layout import RunDir

_HERE = f"MANAGER:{contract.HEAD_PORT}"  # which address that has, no container knows
LAST_WORDS_S = 3.0
FAILED = 1


def main(run: RunDir, decided: Path = Path(stack.DECIDED)) -> int:
    console.prepare_streams()
    try:
        _lay(decided, run)
        begun, before = begin(run)
    except EvenerError as error:
        console.print_error(error)
        return error.exit_status
    typer.echo(sentence(run.name, begun, before))
    typer.echo(f"its page is {contract.page_address(_HERE, contract.from_environ(HeadEnv).secret)}")
    head = subprocess.Popen([sys.executable, "-P", "-m", "evener.head"])

    def pass_on(number: int, frame: FrameType | None) -> None:
        head.send_signal(number)

    for name in (contract.AWAY_SIGNAL, "SIGTERM"):
        signal.signal(getattr(signal, name), pass_on)
    lines = threading.Thread(target=_show, args=(run,), daemon=True)
    if begun is not Begun.finished:
        lines.start()
    status = head.wait()
    if begun is not Begun.finished:
        lines.join(LAST_WORDS_S)  # it may wait for agents: nobody waits for it
    return status if status >= 0 else FAILED


def _lay(decided: Path, run: RunDir) -> None:
    """What was decided, from where Docker puts it to where the run's folder has it."""
    run.create()
    for name in stack.CONFIGS:
        text = (decided / name).read_text(encoding="utf-8")
        layout.write_atomic(run.configs / name, text)
    if (code := decided / contract.CODE_NAME).is_file():
        layout.write_atomic(run.code_file, code.read_bytes())
    ships = belongings.shipped(job_from_json(run.job_file.read_text(encoding="utf-8")))
    for path in map(Path, ships):
        if not path.exists():
            raise DataMissing(
                "the data that machines are to get from here are not here",
                where=str(path),
                fix="bring them to every manager, or say where they are: EVENER_DATA=/some/path",
            )
    if ships:
        cargo.pack(run, (), ships)


def _show(run: RunDir) -> None:
    try:
        state = shown(run)
    except EvenerError as error:
        console.print_error(error)
        return
    if state.ended:
        typer.echo(f"{run.name} is over: {state.phase} at step {state.step}")


if __name__ == "__main__":
    sys.exit(main(RunDir(Path(sys.argv[1]))))
