"""Who signs that a machine is in the mesh: the pool, on its own machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener.pool import mesh, nebula
from evener.rundir import layout

CA_HOURS = 24 * 3650


@dataclass(frozen=True, slots=True)
class Authority:
    """Its files are in `folder`; `port` is that of the first machine's nebula."""

    folder: Path
    pin: str
    port: int

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.folder / nebula.CA_NAME).is_file():
            lasts, out = f"{CA_HOURS}h", ("-out-crt", nebula.CA_NAME, "-out-key", "ca.key")
            named = (nebula.SIGNER, "ca", "-name", "evener", "-duration", lasts)
            nebula.call(self.folder, *named, *out)

    def admit(self, name: str, number: int, public: str) -> dict[str, Any]:
        """What a machine with that public key needs."""
        own, out = self.folder / f"{number}.pub", self.folder / f"{number}.crt"
        layout.write_atomic(own, public)
        out.unlink(missing_ok=True)
        where = f"{mesh.address(self.pin, number)}/16"
        nebula.call(
            *(self.folder, nebula.SIGNER, "sign", "-ca-crt", nebula.CA_NAME, "-ca-key", "ca.key"),
            *("-in-pub", own.name, "-out-crt", out.name, "-name", f"{number}-{name}"),
            *("-ip", where, "-duration", f"{mesh.MEMBER_HOURS}h"),
        )
        return {
            "ca": (self.folder / nebula.CA_NAME).read_text(),
            "certificate": out.read_text(),
            "fingerprint": nebula.printed(self.folder, out.name)["fingerprint"],
            "address": where.partition("/")[0],
            "first": mesh.address(self.pin, mesh.FIRST),
            "port": self.port,
        }
