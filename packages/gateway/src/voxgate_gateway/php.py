"""The seven PHP endpoints: passed on to ``REMOTE_PHP_BASE`` when that is allowed, else answered by the local stub."""

from collections.abc import Callable, Mapping

from voxgate_core import Clock, ConfigurationError, VoxgateError
from voxgate_fanout import SignatureError, Target, live_secrets, verify
from voxgate_gateway.settings import Settings
from voxgate_responder.endpoints import LocalStub, PhpBackend, Verify

__all__ = ["local_stub", "remote_php"]


def remote_php(settings: Settings) -> PhpBackend | None:
    """The PHP backend, when there is one and it may be called; it holds connections, and is closed by its ``async with``.

    Raises :class:`ConfigurationError`.
    """
    if not (settings.allow_remote_php_fanout and settings.remote_php_base):
        return None
    try:
        return PhpBackend(settings.remote_php_base, key=settings.php_key.get_secret_value() or None)
    except ConfigurationError as error:
        raise ConfigurationError([f"REMOTE_PHP_BASE: {fault}" for fault in error.faults]) from None


def local_stub(clock: Clock, target: Callable[[], Target] | None) -> LocalStub:
    """The stub that answers from fixtures. ``target`` is whose secrets sign the events it takes; ``None``: unsigned."""
    return LocalStub(clock, verify=None if target is None else _verifier(target, clock))


def _verifier(target: Callable[[], Target], clock: Clock) -> Verify:
    def check(headers: Mapping[str, str], body: bytes) -> str:
        secrets = [secret.value for secret in live_secrets(target(), clock.now())]
        try:
            return verify(headers, body, secrets, clock.now())
        except SignatureError:
            raise VoxgateError("credential_invalid", "The signature does not hold") from None

    return check
