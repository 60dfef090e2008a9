"""The certificate of a run: derived from its secret, the same on all its machines, sent to none.

Both ends of a connection show it and trust nothing else, so each proves by TLS 1.3 that it has the
run's secret, and nobody between them reads or changes a word. It is valid for ever: the run's life
is the secret's, and clocks of machines may be wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
import tempfile
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from evener import errors

_PURPOSE = b"evener: the certificate of a run"
_SINCE, _UNTIL = datetime(1950, 1, 1), datetime(9999, 12, 31)


def prepare(secret: str) -> None:
    """What can fail of it fails here, before anybody is spoken with."""
    try:
        for server_side in (True, False):
            context(secret, server_side=server_side)
    except OSError as error:
        raise errors.StartFailed(
            f"the run's certificate cannot be used: {error}",
            where=tempfile.gettempdir(),
            fix="make room there, or set TMPDIR to a folder that can be written",
        ) from error


@lru_cache(maxsize=8)
def context(secret: str, *, server_side: bool) -> ssl.SSLContext:
    """For one side of connections between those who know `secret`."""
    key, certificate = _derive(secret)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False  # who holds the key is asked, not what it is called
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=certificate.decode())
    _load(made, key + certificate)
    return made


@lru_cache(maxsize=2)
def serving(secret: str) -> ssl.SSLContext:
    """For a server whose callers know the certificate's fingerprint, and not yet the secret."""
    key, certificate = _derive(secret)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(made, key + certificate)
    return made


def certificate(secret: str) -> bytes:
    """What `serving` shows, as it goes over the wire."""
    return ssl.PEM_cert_to_DER_cert(_derive(secret)[1].decode())


def _derive(secret: str) -> tuple[bytes, bytes]:
    """Key and certificate as PEM. Ed25519 signs without chance, so they are alike everywhere."""
    # Imported here: an agent without others starts without it, a tenth of a second sooner.
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509.oid import NameOID

    seed = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evener")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_SINCE)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, None)
    )
    plain = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return plain, certificate.public_bytes(serialization.Encoding.PEM)


def _load(into: ssl.SSLContext, pem: bytes) -> None:
    """Python reads keys from files only: one that is no file, where there is such a thing, or else
    one that is the user's alone, and gone at once."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("evener"), "wb") as file:
            file.write(pem)
            file.flush()
            into.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return
    handle, name = tempfile.mkstemp(prefix="evener-", suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        into.load_cert_chain(name)
    finally:
        Path(name).unlink()
