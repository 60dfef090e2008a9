"""The user's own functions: found by `package.module:name`, called, and blamed by file and line.

The only place where code of a job is imported. A job's code is trusted as a script is that one
starts: it runs with the rank's rights.
"""

from __future__ import annotations

import builtins
import difflib
import importlib
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from evener.errors import CodeNotImportable, CodeRaised, EvenerError, ScriptFailed

_OWN_FOLDER = Path(__file__).resolve().parent
_LIBRARY_FOLDERS = [
    Path(p).resolve() for k, p in sysconfig.get_paths().items() if k in ("stdlib", "purelib")
]


def load_callable(reference: str, folders: Sequence[Path]) -> Callable[..., Any]:
    """What `package.module:name` names, searched in `folders` before all else.

    As with a script, the folders stay on the path for the rest of the process: the user's module
    may import its neighbours late. Raises CodeNotImportable with the user's file and line.
    """
    module_name, _, name = reference.partition(":")
    search = [str(Path(f).resolve()) for f in folders]
    sys.path[:0] = [f for f in search if f not in sys.path]
    module = _import(module_name, reference, search)
    found = getattr(module, name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]  # callable() is all that can be known of it
    where = getattr(module, "__file__", None) or module_name
    if found is not None:
        raise CodeNotImportable(
            f"{name!r} is a {type(found).__name__}, not a function",
            where=where,
            fix=f"name a function or class in {reference!r}",
        )
    near = difflib.get_close_matches(name, _callables(module), n=1)
    raise CodeNotImportable(
        f"module {module_name!r} has no {name!r}",
        where=where,
        fix=f"did you mean {near[0]!r}?" if near else f"define {name}() there",
    )


def call(reference: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`; what it raises becomes CodeRaised with its file and line.

    Errors of evener's own pass as they are: the user's code may raise them deliberately.
    """
    try:
        return function(*args, **kwargs)
    except EvenerError:
        raise
    except Exception as error:
        raise CodeRaised(
            f"{reference} raised {_told(error)}",
            where=_users_line(error) or source_line(function),
            fix="mend your code; --debug shows the whole traceback",
        ) from error


def source_line(function: Callable[..., Any]) -> str:
    """`file:line` where a function or class of the user begins, as far as Python knows it."""
    try:
        plain = inspect.unwrap(function)
        return f"{inspect.getsourcefile(plain)}:{inspect.getsourcelines(plain)[1]}"
    except (OSError, TypeError):
        return repr(function)


def calling_line() -> str:
    """`file:line` of the user's own code that is being run now, however deep below it we are."""
    frame = sys._getframe(1)
    while frame is not None and not _is_users(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]  # None ends the walk
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""


def run_as_main(script: Path, arguments: Sequence[str], folder: Path) -> None:
    """As `python SCRIPT ARGUMENTS` would run it in `folder`. What it raises passes as it is.

    The module that is called `__main__` is the script's for good: pickle and spawned processes
    look there.
    """
    os.chdir(folder)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.parent))
    code = compile(script.read_bytes(), str(script), "exec")
    module = ModuleType("__main__")
    module.__file__ = str(script)
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def run_script(script: Path, arguments: Sequence[str], folder: Path) -> None:
    """The same, with what it raises in our words. Ending by itself with status 0 is well."""
    try:
        run_as_main(script, arguments, folder)
    except EvenerError:
        raise
    except Exception as error:
        where = _users_line(error) or str(script)
        if isinstance(error, ModuleNotFoundError) and error.name:
            raise not_installed(error.name, where) from error
        raise CodeRaised(
            f"the script raised {_told(error)}",
            where=where,
            fix="mend the script; `evener logs` shows the whole traceback",
        ) from error
    except SystemExit as end:
        if end.code not in (None, 0):
            said = f"with status {end.code}" if isinstance(end.code, int) else f"itself: {end.code}"
            raise ScriptFailed(
                f"the script ended {said}",
                where=_users_line(end) or str(script),
                fix="its log has all that it printed",
            ) from end


def not_installed(module: str, where: str) -> CodeNotImportable:
    """What a script imports is not there."""
    package = module.partition(".")[0]
    return CodeNotImportable(
        f"the script needs {package!r}, which is not installed where it ran",
        where=where,
        fix=f"here: pip install {package}; in containers: requirements.txt beside the script, "
        f'or image.pip = ["{package}"], by the name that pip knows it by',
    )


def _import(module_name: str, reference: str, search: Sequence[str]) -> ModuleType:
    importlib.invalidate_caches()  # the file may be seconds old
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, module_name):
            raise CodeNotImportable(
                f"there is no module {error.name!r}",
                where=reference,
                fix=f"looked in {', '.join([*search, 'the installed packages'])}",
            ) from error
        raise CodeNotImportable(
            f"importing {module_name!r} raised {_told(error)}",
            where=_users_line(error) or reference,
            fix="mend your module, or install what it imports; --debug shows the whole traceback",
        ) from error


def _is_part(missing: str | None, module_name: str) -> bool:
    return f"{module_name}.".startswith(f"{missing}.")


def _callables(module: ModuleType) -> list[str]:
    return [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]


def _told(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _users_line(error: BaseException) -> str:
    """Where the user's own code was when it failed: the deepest frame that is no library's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if _is_users(f.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _is_users(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<") or not path.is_absolute():
        return False
    return not any(path.is_relative_to(f) for f in (_OWN_FOLDER, *_LIBRARY_FOLDERS))
