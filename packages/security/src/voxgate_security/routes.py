"""The HTTP routes of tokens: get one, get one in OpenAI's shape, take one back.

Every request goes the same way: Origin, then the caller, then the body, then the quota. Refusals are raised as
:class:`VoxgateError`; somebody else renders them.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from fastapi import APIRouter, Request, Response
from msgspec import Struct

from voxgate_core import Answer, Leash, OriginGate, VoxgateError, header_values, read_bounded
from voxgate_security.authenticators import Authenticators, Caller
from voxgate_security.cors import ORIGIN_KEY
from voxgate_security.guard import PREFIX, is_identifier
from voxgate_security.quotas import IssuanceQuotas
from voxgate_security.requests import (
    MAX_BODY,
    ClientSecretBody,
    RevokeBody,
    TokenBody,
    check_public_url,
    read_body,
    realtime_url,
    session_settings,
)
from voxgate_security.revocation import Revocations
from voxgate_security.tokens import DEFAULT_SCOPE, IssuedToken, TokenIssuer, TokenRequest

__all__ = ["TokenService", "create_router"]

NO_STORE: Final = {"Cache-Control": "no-store"}
T = TypeVar("T", bound=Struct)
Respond = Callable[[Answer], Response]

logger = logging.getLogger("voxgate.security")


class TokenService:
    """Everything the token routes need. ``public_url`` is how clients reach this deployment, ``None``: as they did.

    Raises :class:`ConfigurationError` for a ``public_url`` that is none.
    """

    def __init__(
        self,
        *,
        issuer: TokenIssuer,
        authenticators: Authenticators,
        origins: OriginGate,
        quotas: IssuanceQuotas,
        revocations: Revocations,
        public_url: str | None = None,
    ) -> None:
        self._issuer = issuer
        self._authenticators = authenticators
        self._origins = origins
        self._quotas = quotas
        self._revocations = revocations
        self._public_url = None if public_url is None else check_public_url(public_url)

    async def token(self, request: Request) -> Answer:
        """``POST /api/realtime/token``."""
        origin, caller = await self._identify(request)
        body = await _body(request, TokenBody)
        subject = _subject(caller, body.sub)
        bound = self._bound_origin(caller, origin, body.origin)
        url = self._public_url or realtime_url(request.scope["scheme"], _values(request, b"host"))
        scope = DEFAULT_SCOPE if body.scope is None else frozenset(body.scope)
        wanted = TokenRequest(subject, bound, scope, body.ttl, body.leash.leash())
        issued, headers = await self._issue(request, caller, wanted)
        grant = issued.grant
        data = {
            "token": issued.token,
            "expiresAt": grant.expires_at,
            "expiresIn": grant.expires_at - grant.issued_at,
            "url": url,
            "tokenId": grant.token_id,
            "sessionId": grant.session_id,
        }
        legacy = {"token": issued.token, "expiresAt": grant.expires_at}
        return Answer(data, legacy=legacy, headers=headers)

    async def client_secret(self, request: Request) -> Answer:
        """``POST /v1/realtime/client_secrets``, in OpenAI's shape."""
        origin, caller = await self._identify(request)
        body = await _body(request, ClientSecretBody)
        settings = session_settings(body)
        wanted = TokenRequest(caller.subject, origin, ttl=body.expires_after.seconds, leash=Leash(session=settings))
        issued, headers = await self._issue(request, caller, wanted)
        session = {**settings, "type": "realtime", "object": "realtime.session", "id": issued.grant.session_id}
        data = {"value": PREFIX + issued.token, "expires_at": issued.grant.expires_at, "session": session}
        return Answer(data, headers=headers, bare=True)

    async def revoke(self, request: Request) -> Answer:
        """``POST /api/realtime/revoke``."""
        _, caller = await self._identify(request)
        if not caller.role.operates:
            raise VoxgateError("role_refused", "only an operator key may revoke")
        body = await _body(request, RevokeBody)
        named = {"jti": body.jti, "sub": body.sub, "sessionId": body.session_id}
        given = {name: value for name, value in named.items() if value is not None}
        if len(given) != 1:
            raise VoxgateError("invalid_input", details={"body": "name exactly one of jti, sub and sessionId"})
        for name in ("jti", "sessionId"):
            if name in given and not is_identifier(given[name]):
                raise VoxgateError("invalid_input", details={name: "not the id of a token or session"})
        revocation = await self._revocations.revoke(jti=body.jti, subject=body.sub, session_id=body.session_id)
        logger.info("revocation asked for", extra={"caller": caller.label, "kind": revocation.kind.value})
        return Answer({"revoked": given, "revokedAt": revocation.revoked_at}, headers=NO_STORE)

    async def _identify(self, request: Request) -> tuple[str | None, Caller]:
        if ORIGIN_KEY in request.scope:
            origin: str | None = request.scope[ORIGIN_KEY]
        else:
            # Without the middleware in front the verdict is ours to give, not to leave out.
            origin = self._origins.admit(_values(request, b"origin"))
        return origin, await self._authenticators.authenticate(_values(request, b"authorization"))

    def _bound_origin(self, caller: Caller, origin: str | None, wanted: str | None) -> str | None:
        if wanted is None:
            return origin
        try:
            admitted = self._origins.admit([wanted.encode()])
        except (VoxgateError, UnicodeEncodeError):
            raise VoxgateError("origin_refused", "the token may not be bound to this origin") from None
        if origin is not None and admitted != origin and not caller.role.issues_for_others:
            raise VoxgateError("origin_refused", "a page gets tokens for its own origin only")
        return admitted

    async def _issue(
        self, request: Request, caller: Caller, wanted: TokenRequest
    ) -> tuple[IssuedToken, dict[str, str]]:
        address = None if request.client is None else request.client.host
        headers = await self._quotas.spend(subject=wanted.subject, address=address)
        issued = self._issuer.issue(wanted)
        extra = {"caller": caller.label, "jti": issued.grant.token_id, "expires_at": issued.grant.expires_at}
        logger.info("token issued", extra=extra)
        return issued, {**NO_STORE, **headers}


def create_router(service: TokenService, respond: Respond) -> APIRouter:
    """The routes; ``respond`` renders what they answer."""
    router = APIRouter(tags=["tokens"])

    @router.post("/api/realtime/token", summary="Get a session token", response_class=Response)
    async def token(request: Request) -> Response:
        return respond(await service.token(request))

    @router.post("/v1/realtime/client_secrets", summary="Get a client secret (OpenAI's shape)", response_class=Response)
    async def client_secret(request: Request) -> Response:
        return respond(await service.client_secret(request))

    @router.post("/api/realtime/revoke", summary="Revoke a token, a subject or a session", response_class=Response)
    async def revoke(request: Request) -> Response:
        return respond(await service.revoke(request))

    return router


def _subject(caller: Caller, wanted: str | None) -> str:
    if wanted is None or wanted == caller.subject:
        return caller.subject
    if not caller.role.issues_for_others:
        raise VoxgateError("role_refused", "this caller gets tokens for itself only")
    return wanted


def _values(request: Request, name: bytes) -> list[bytes]:
    return header_values(request.scope["headers"], name)


async def _body(request: Request, shape: type[T]) -> T:
    body = await read_bounded(request.stream(), MAX_BODY)
    return read_body(shape, _values(request, b"content-type"), body)
