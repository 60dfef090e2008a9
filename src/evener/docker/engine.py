"""The docker command: what it answers, and its failures as ours."""

from __future__ import annotations

import json
import re
import select
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evener import errors
from evener.docker.failures import translate

CALL_S = 60.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # which the classic builder gives what fails
DESKTOP = "Docker Desktop"  # as it calls the system that its engine is on


@dataclass(frozen=True, slots=True)
class Facts:
    """What an engine has to give: on Docker Desktop less than its machine."""

    cpus: float
    memory_bytes: int
    runtimes: tuple[str, ...]
    security: tuple[str, ...] = ()  # "name=rootless" and the like
    system: str = ""  # of the machine that it is on, which may be a virtual one
    version: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine that the user's docker command speaks to; `program` may carry options."""

    program: tuple[str, ...] = ("docker",)

    def call(self, *arguments: str, timeout_s: float = CALL_S) -> str:
        """What `docker ARGUMENTS` prints. Its failure is raised as one of our errors."""
        shown = "docker " + shlex.join(arguments)
        try:
            done = subprocess.run(
                [*self.program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                start_new_session=True,  # a Ctrl-C is for us, and may be what we are acting on
            )
        except OSError as error:
            raise _no_command(error, self.program[0]) from error
        except subprocess.TimeoutExpired as error:
            raise errors.DockerAway(
                f"Docker has not answered for {timeout_s:.0f} s",
                where=shown,
                fix="restart the engine if `docker ps` hangs as well",
            ) from error
        if done.returncode != 0:
            raise translate(shown, done.stderr or done.stdout)
        return done.stdout

    def ask(self, *arguments: str, short: bool = False) -> list[dict[str, Any]]:
        """A listing, by `--format '{{json .}}'`: one object a line. Some have no long form."""
        form = () if short else ("--no-trunc",)
        said = self.call(*arguments, *form, "--format", "{{json .}}")
        return [json.loads(line) for line in said.splitlines() if line.strip()]

    @property
    def address(self) -> str:
        """Where the command looks for it: "unix:///var/run/docker.sock"."""
        return self.call("context", "inspect", "--format={{.Endpoints.docker.Host}}").strip()

    def facts(self) -> Facts:
        """Asks the engine. One that runs Windows programs is refused."""
        shown = "docker info"
        told = json.loads(self.call("info", "--format", "{{json .}}"))
        if said := told.get("ServerErrors"):
            raise translate(shown, "\n".join(said))
        if told.get("OSType") == "windows":
            raise errors.DockerFailed(
                "the engine runs Windows containers",
                where=shown,
                fix="switch to Linux containers in Docker Desktop's menu",
            )
        runtimes = tuple(told.get("Runtimes") or ())
        security = tuple(told.get("SecurityOptions") or ())
        system = str(told.get("OperatingSystem", ""))
        cpus, memory_bytes = float(told["NCPU"]), int(told["MemTotal"])
        return Facts(cpus, memory_bytes, runtimes, security, system, _version(told))

    def last_words(self, container: str, lines: int) -> list[str]:
        """The end of what a container printed, on either stream."""
        done = subprocess.run(
            [*self.program, "logs", "--tail", str(lines), container],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=CALL_S,
        )
        return done.stdout.splitlines()

    def await_event(self, *filters: str, limit_s: float) -> bool:
        """Until something happens that passes `filters`; False where it does not. An engine that
        goes away is something, too."""
        command = [*self.program, "events", *(f"--filter={each}" for each in filters)]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            try:
                return bool(select.select([process.stdout], [], [], limit_s)[0])
            finally:
                process.kill()

    def build(
        self,
        folder: str,
        dockerfile: str,
        tag: str,
        labels: Mapping[str, str],
        note: Callable[[str], None],
    ) -> None:
        """Build in `folder`; `note` hears every line. Either builder will do."""
        options = [f"--label={name}={value}" for name, value in labels.items()]
        # --force-rm: the classic builder keeps the container of a step that failed.
        command = [*self.program, "build", "--force-rm", "--tag", tag, "--file", dockerfile]
        command += [*options, folder]
        said: list[str] = []
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise _no_command(error, self.program[0]) from error
        with process:
            assert process.stdout is not None
            try:
                for coloured in process.stdout:
                    line = _COLOURS.sub("", coloured)
                    said.append(line)
                    note(line.rstrip())
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise translate(f"docker build --tag {tag}", "".join(said[-40:]))


def _version(told: Mapping[str, Any]) -> tuple[int, ...]:
    """(20, 10, 24), of "20.10.24+dfsg1"."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", str(told.get("ServerVersion")))
    return tuple(map(int, found.groups())) if found else ()


def _no_command(error: OSError, program: str) -> errors.DockerAway:
    return errors.DockerAway(
        f"the command {program!r} cannot be started: {error.strerror or error}",
        where="--on docker",
        fix="install Docker (https://docs.docker.com/engine/install), or use --on local",
    )
