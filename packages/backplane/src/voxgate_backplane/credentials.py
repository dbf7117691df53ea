"""How to find and enter the NATS servers: their addresses, the login, and the CA that vouches for them.

A creds file holds a user's token and the seed of its key between marker lines (NATS decentralised authentication,
https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt). It is read again at each
connection, so that a file that was renewed is used without a restart.
"""

import base64
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import nats.errors
import nkeys  # type: ignore[import-untyped]

from voxgate_core import ConfigurationError

__all__ = ["MAX_CREDS_BYTES", "Credentials", "read_servers"]

MAX_CREDS_BYTES: Final = 64 * 1024
"""Of a creds file; a larger one is none."""

_TOKEN_MARK: Final = b"BEGIN NATS USER JWT"
_SEED_MARK: Final = b"BEGIN USER NKEY SEED"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in: a user with a password (the embedded server), or a creds file; and the CA of the servers."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    creds_file: Path | None = None
    ca_file: Path | None = None

    def check(self) -> None:
        """Raises :class:`ConfigurationError` for a creds file or CA file that can't be used, and says which and why."""
        faults: list[str] = []
        if self.creds_file is not None:
            try:
                self.token()
                self.sign("")
            except nats.errors.InvalidUserCredentialsError:
                faults.append(
                    f"the NATS creds file {self.creds_file} can't be read, or holds no user token and seed: give the file"
                    " that `nsc generate creds` writes"
                )
        if self.ca_file is not None:
            try:
                self.tls()
            except (OSError, ValueError):
                faults.append(f"the NATS CA file {self.ca_file} can't be read, or holds no certificate in PEM form")
        if faults:
            raise ConfigurationError(faults)

    def tls(self) -> ssl.SSLContext:
        """Trusts the CA file, or the system's CAs where there is none. Raises ``OSError`` for a bad file."""
        return ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))

    def token(self) -> bytes:
        """The user's token. Raises :class:`nats.errors.InvalidUserCredentialsError`, which the client survives."""
        return self._after(_TOKEN_MARK)

    def sign(self, nonce: str) -> bytes:
        """The signature of what the server sent. Raises :class:`nats.errors.InvalidUserCredentialsError`."""
        try:
            pair = nkeys.from_seed(bytearray(self._after(_SEED_MARK)))
            signature = base64.b64encode(pair.sign(nonce.encode()))
            pair.wipe()
        except (nkeys.ErrInvalidSeed, nkeys.ErrInvalidPrefixByte, ValueError) as error:
            # Not as the cause: such an error may quote the seed.
            del error
        else:
            return signature
        raise nats.errors.InvalidUserCredentialsError

    def _after(self, mark: bytes) -> bytes:
        """The line below the marker line. nats-py's own reader never ends on a file without one."""
        if self.creds_file is None:
            raise nats.errors.InvalidUserCredentialsError
        try:
            with self.creds_file.open("rb") as file:
                lines = file.read(MAX_CREDS_BYTES).splitlines()
        except OSError as error:
            raise nats.errors.InvalidUserCredentialsError from error
        for line, following in zip(lines, lines[1:], strict=False):
            if mark in line and following.strip():
                return following.strip()
        raise nats.errors.InvalidUserCredentialsError


def read_servers(text: str) -> list[str]:
    """The URLs of a comma list. Raises :class:`ConfigurationError` unless each is ``nats://`` or ``tls://`` and a host.

    The message does not repeat them, because a URL may hold a password.
    """
    urls = [url.strip() for url in text.split(",") if url.strip()]
    if urls and all(map(_is_address, urls)):
        return urls
    raise ConfigurationError(
        ["VOXGATE_NATS_URL: set it to the URL of a NATS server, such as nats://host:4222, or to several with commas"]
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
