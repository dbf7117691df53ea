"""An operator, an account and a user of NATS as signed tokens, as the tool ``nsc`` makes them."""

import base64
import hashlib
import json
import os
from dataclasses import dataclass

import nkeys  # type: ignore[import-untyped]

__all__ = ["Account", "Signer", "new_account"]

OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3
"""The kinds of keys, as the first bits of their text (NATS nkeys)."""


class Signer:
    def __init__(self, kind: int) -> None:
        self.seed = bytes(nkeys.encode_seed(os.urandom(32), kind))
        self.name = nkeys.from_seed(bytearray(self.seed)).public_key.decode()

    def token(self, subject: "Signer", kind: str, **claims: object) -> str:
        """A token about ``subject`` (JWT with the algorithm ``ed25519-nkey``, version 2 of NATS)."""
        body = {
            "iat": 1_700_000_000,
            "iss": self.name,
            "name": kind,
            "sub": subject.name,
            "nats": {"type": kind, "version": 2, **claims},
        }
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
        text = ".".join(_plain(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
        return f"{text}.{_plain(nkeys.from_seed(bytearray(self.seed)).sign(text.encode()))}"


@dataclass(frozen=True)
class Account:
    """``config`` makes a server trust it; ``creds`` is the text of its user's creds file, ``seed`` the secret in it."""

    config: str
    creds: str
    seed: str


def new_account() -> Account:
    operator, system, account, user = Signer(OPERATOR), Signer(ACCOUNT), Signer(ACCOUNT), Signer(USER)
    every = {"subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1, "payload": -1}
    limits = {**every, "wildcards": True, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    token = operator.token(account, "account", limits=limits)
    system_token = operator.token(system, "account", limits={**every, "wildcards": True})
    config = f"""\
operator: "{operator.token(operator, "operator")}"
system_account: "{system.name}"
resolver: MEMORY
resolver_preload: {{ {account.name}: "{token}", {system.name}: "{system_token}" }}
"""
    creds = f"""\
-----BEGIN NATS USER JWT-----
{account.token(user, "user", pub={}, sub={}, subs=-1, data=-1, payload=-1)}
------END NATS USER JWT------

************************* IMPORTANT *************************
-----BEGIN USER NKEY SEED-----
{user.seed.decode()}
------END USER NKEY SEED------
"""
    return Account(config, creds, user.seed.decode())


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
