"""Judges callers of the gateway's own HTTP routes by their headers alone: origin, credential, role, in that order."""

from collections.abc import Sequence

from voxgate_core import OriginGate, VoxgateError, header_values
from voxgate_security.authenticators import Authenticators

__all__ = ["RequestGate"]


class RequestGate:
    """Implements core's ``CallerGate``: lets in backends and operators, never an end user."""

    def __init__(self, origins: OriginGate, authenticators: Authenticators) -> None:
        self._origins = origins
        self._authenticators = authenticators

    async def admit(self, headers: Sequence[tuple[bytes, bytes]], *, operator: bool = False) -> str:
        """The caller's name: that of its key, or its subject. ``headers`` are the request's, names in lower case.

        The origin is judged here, whatever a middleware has said before. Raises :class:`VoxgateError`
        ``origin_refused``, then ``credential_missing`` or ``credential_invalid`` (``unavailable`` when that can't be
        found out), then ``role_refused``: for a caller that may not act for others, or with ``operator`` set for one
        that does not operate this deployment.
        """
        self._origins.admit(header_values(headers, b"origin"))
        caller = await self._authenticators.authenticate(header_values(headers, b"authorization"))
        if operator and not caller.role.operates:
            raise VoxgateError("role_refused", "this needs an operator's key")
        if not caller.role.issues_for_others:
            raise VoxgateError("role_refused", "this needs the key of a backend or an operator")
        return caller.subject
