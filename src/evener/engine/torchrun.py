"""A torchrun script's process: `python -m evener.engine.torchrun WORD FOLDER SCRIPT [ARGUMENTS]`.

The script runs as `python SCRIPT ARGUMENTS` would run it in FOLDER. Beside that this process ends
with its agent, tells on a signal where its threads are, and leaves in the file WORD what the
script failed of. What it computes with is the script's own affair. One that is told to be warm,
before the rest, imports torch and waits for its place: a line on its standard input.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import signal
import sys
import traceback
import types
from pathlib import Path
from typing import Any

from evener import contract, usercode
from evener.lifeline import die_with_parent

_STDIN, _LINE_BYTES = 0, 2**16
_SLOW = ("torch.distributed", "torch._dynamo")  # the latter any optimizer's first step imports


def main() -> None:
    die_with_parent()
    faulthandler.enable()
    if sys.platform != "win32":
        faulthandler.register(getattr(signal, contract.STACK_SIGNAL))
    if sys.argv[1] == contract.WARM:
        _await_place()
        del sys.argv[1]
    word, folder, script, *arguments = sys.argv[1:]
    try:
        usercode.run_as_main(Path(script), arguments, Path(folder))
    except SystemExit:
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except BaseException as error:  # noqa: BLE001  (whatever it is, it is the script's own)
        trace = _of_script(error.__traceback__, script)
        sys.excepthook(type(error), error, trace)
        _leave_word(Path(word), error, script)
        sys.exit(1)


def _await_place() -> None:
    """Variables of the environment, which only now can be known."""
    with contextlib.suppress(Exception):  # what is wrong with them the script will meet itself
        for name in _SLOW:
            importlib.import_module(name)
    os.write(_STDIN, b"+")
    said = b""
    while not said.endswith(b"\n"):
        piece = os.read(_STDIN, _LINE_BYTES)
        if not piece:
            sys.exit(0)
        said += piece
    contract.put_into_environ(json.loads(said))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), _STDIN)


def _of_script(trace: types.TracebackType | None, script: str) -> types.TracebackType | None:
    """Without our own frames at its beginning."""
    at = trace
    while at is not None and at.tb_frame.f_code.co_filename != script:
        at = at.tb_next
    return at or trace


def _leave_word(word: Path, error: BaseException, script: str) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(Path(script).parent)]
    place = f"{own[-1].filename}:{own[-1].lineno}" if own else f"{script}"
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    kind = type(error).__name__
    if kind.islower():  # `error` alone tells nobody of what
        kind = f"{type(error).__module__}.{kind}"
    told: dict[str, Any] = {"type": kind, "text": str(error), "where": place}
    if isinstance(error, ModuleNotFoundError):
        told["module"] = error.name
    if isinstance(error, OSError):
        told["errno"], told["file"] = error.errno, str(error.filename or "")
    with contextlib.suppress(OSError):  # its log has the traceback all the same
        word.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
