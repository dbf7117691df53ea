"""The same request twice is one event: the first answer to an ``Idempotency-Key`` is given again.

Source: draft-ietf-httpapi-idempotency-key-header-07, sections 2.1 (the key), 2.6 (fingerprint) and 2.7 (conflicts).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

import msgspec

from voxgate_core import KeyValue, VoxgateError

__all__ = ["KEEP_SECONDS", "MAX_KEY", "Memory", "Remembered", "check_key"]

KEEP_SECONDS: Final = 86_400.0
"""How long an answer is remembered."""

MAX_KEY: Final = 255
"""Characters of an ``Idempotency-Key``."""

MAX_ATTEMPTS: Final = 4
"""Looks at a record that others write at the same moment."""

NAME_BYTES: Final = 20
"""Bytes of the hash a request is kept under: it is long enough that nobody finds two keys with one hash, and no longer,
because a busy caller has millions of them."""

PREFIX: Final = "idempotency."

_is_key = re.compile(r"[\x21-\x7e]+").fullmatch


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """One request. Until ``done`` it may or may not have been stored; ``time`` is the event's, epoch seconds.

    ``digest`` tells bodies apart.
    """

    digest: str
    event_id: str
    time: float
    targets: tuple[str, ...] = ()
    done: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Remembered).decode


@dataclass(frozen=True, slots=True)
class Memory:
    """Requests by caller and key, on every node the same."""

    store: KeyValue

    async def begin(self, caller: str, key: str, request: Remembered) -> Remembered:
        """Remember the request if it is the first with its key, else return that first one.

        Raises :class:`VoxgateError` ``conflict`` when the first one had another body, ``unavailable``.
        """
        name = _name(caller, key)
        for _ in range(MAX_ATTEMPTS):
            if await self.store.put_if_absent(name, _encode(request), ttl=KEEP_SECONDS):
                return request
            entry = await self.store.get(name)
            if entry is not None:
                first = _decode(entry.value)
                if first.digest != request.digest:
                    raise VoxgateError("conflict", "this Idempotency-Key was used with another body")
                return first
        raise VoxgateError("unavailable", "the request could not be remembered; try again")

    async def finish(self, caller: str, key: str, request: Remembered) -> None:
        """Remember the answer. Raises :class:`VoxgateError` ``unavailable``."""
        await self.store.put(_name(caller, key), _encode(request), ttl=KEEP_SECONDS)


def check_key(values: list[bytes]) -> str | None:
    """The one key of a request's ``Idempotency-Key`` headers, ``None`` without any.

    Raises :class:`VoxgateError` ``bad_request`` for several, or one that is not 1 to MAX_KEY visible characters.
    """
    if not values:
        return None
    text = values[0].decode("latin-1").strip(" \t")
    if len(values) > 1 or len(text) > MAX_KEY or _is_key(text) is None:
        raise VoxgateError("bad_request", f"Idempotency-Key is one value of 1 to {MAX_KEY} visible ASCII characters")
    return text


def _name(caller: str, key: str) -> str:
    # A caller's name and a key hold characters that keys of a store may not. A key has no NUL: no two pairs are one text.
    text = f"{caller}\0{key}".encode(errors="surrogatepass")
    return PREFIX + hashlib.blake2b(text, digest_size=NAME_BYTES).hexdigest()
