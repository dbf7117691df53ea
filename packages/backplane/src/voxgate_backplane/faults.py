"""What goes wrong with NATS: whether it passes, and how it is told in our own terms."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import nats.errors
from nats.js.errors import APIError

from voxgate_core import VoxgateError

__all__ = ["RETRY_SECONDS", "Lost", "is_login_refused", "pause_after", "refusals", "why_not"]

RETRY_SECONDS: Final = 0.1
"""Pause before a question is asked again that was turned away at once."""

PASSING: Final = frozenset({10005, 10158})
"""JetStream's error codes for faults that pass: a cluster still gathers; the same message is just being stored."""

FULL: Final = frozenset({10023, 10077})
"""JetStream's error codes for want of room: they come as passing faults (503), and do not pass."""

logger = logging.getLogger("voxgate.backplane")


class Lost(nats.errors.Error):
    """The server was lost while it owed an answer."""


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn what NATS raises into :class:`VoxgateError`; ``what`` completes "the backplane could not".

    It is ``body_too_large`` for a message that no server takes, ``unavailable`` for all else.
    """
    try:
        yield
    except nats.errors.MaxPayloadError as error:
        raise VoxgateError("body_too_large", f"the backplane could not {what}: it is too large") from error
    except (nats.errors.Error, OSError, msgspec.MsgspecError) as error:
        detail = error.description if isinstance(error, APIError) else type(error).__name__
        logger.warning("the backplane could not %s: %s", what, detail)
        raise VoxgateError("unavailable", f"the backplane could not {what}; try again") from error


def pause_after(error: nats.errors.Error) -> float | None:
    """Seconds before the question is worth asking again; ``None`` when it is not."""
    if isinstance(error, Lost | nats.errors.TimeoutError):
        return 0.0
    if isinstance(error, nats.errors.NoRespondersError):
        return RETRY_SECONDS
    if isinstance(error, APIError) and (
        error.err_code in PASSING or (error.code == 503 and error.err_code not in FULL)
    ):
        return RETRY_SECONDS
    return None


def is_login_refused(error: Exception) -> bool:
    """Whether a server knows us not: to try the same login again is no use."""
    return isinstance(error, nats.errors.Error) and "authorization violation" in str(error).lower()


def why_not(error: Exception) -> str:
    """What to do about a first connection that failed."""
    if is_login_refused(error):
        return "the NATS server refuses the login: give the right user and password, or the right creds file"
    if isinstance(error, nats.errors.SecureConnWantedError):
        return "the NATS server offers no TLS, which tls:// or a CA file asks for: give one that does, or take them out"
    if isinstance(error, ssl.SSLError):
        return (
            "the NATS server's certificate is not trusted: give the CA file that vouches for it, and the name it is for"
        )
    return f"no NATS server answers as it should ({type(error).__name__}): is one up at this address?"
