"""The composition root: which part gets which. Reads from top to bottom like a table of contents."""

import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from fastapi import FastAPI
from starlette.types import ASGIApp

from voxgate_core import (
    Clock,
    ConfigurationError,
    Environment,
    KeyValue,
    MemoryKeyValue,
    SystemClock,
    Trace,
    VoxgateError,
)
from voxgate_gateway.routes import create_router
from voxgate_gateway.session_log import SessionLog
from voxgate_gateway.settings import Settings
from voxgate_gateway.version import VERSION
from voxgate_realtime import Dialect, RealtimeServer, RelayLimits, Upstream, azure, compatible, openai
from voxgate_responder import EnvelopeMiddleware, install, instance_of, is_openai, refusal, respond
from voxgate_security import (
    ApiKeyAuthenticator,
    ApiKeys,
    Authenticator,
    Authenticators,
    CorsMiddleware,
    IssuanceQuotas,
    KeyRing,
    OidcAuthenticator,
    OriginPolicy,
    Revocations,
    TokenIssuer,
    TokenService,
    Verifier,
    check_public_url,
    load_keyring,
    new_key,
)
from voxgate_security import create_router as create_token_router

__all__ = ["Gateway", "compose", "key_ring", "origin_policy"]

T = TypeVar("T")

SCOPE: Final = "realtime"
"""The scope a token needs to open a session."""

SINGLE_USE: Final = {
    "native": frozenset({Dialect.NATIVE}),
    "all": frozenset(Dialect),
    "none": frozenset[Dialect](),
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is ready to be served. ``made`` says what was made up because dev left it unset."""

    settings: Settings
    app: ASGIApp
    realtime: RealtimeServer
    revocations: Revocations
    dev_key: str | None = field(repr=False)
    made: tuple[str, ...]


def compose(settings: Settings, *, engine_url: str | None, clock: Clock | None = None) -> Gateway:
    """Wire a gateway. ``engine_url`` is where the offline engine answers, when the settings ask for it.

    Raises :class:`ConfigurationError` with every fault of every part.
    """
    clock = clock or SystemClock()
    made: list[str] = []
    faults = settings.faults()

    origins = _judged(faults, lambda: origin_policy(settings, made))
    ring = _judged(faults, lambda: key_ring(settings, made))
    keys = _judged(faults, lambda: _api_keys(settings, made))
    oidc = _judged(faults, lambda: _oidc(settings, clock))
    quotas = _judged(faults, lambda: IssuanceQuotas(settings.quota_subject, settings.quota_address, clock=clock))
    upstream = _judged(faults, lambda: _upstream(settings, engine_url))
    if settings.public_url:
        _judged(faults, lambda: check_public_url(settings.public_url))
    if faults or not (origins and ring and keys and oidc is not None and quotas and upstream):
        raise ConfigurationError(faults)
    api_keys, dev_key = keys
    callers: list[Authenticator] = [ApiKeyAuthenticator(api_keys), *oidc]

    store: KeyValue = MemoryKeyValue(clock)
    revocations = Revocations(store, clock)
    verifier = Verifier(ring, clock, settings.environment, store, revocations, required_scope=SCOPE)
    tokens = TokenService(
        issuer=TokenIssuer(ring, clock, settings.environment),
        authenticators=Authenticators(callers),
        origins=origins,
        quotas=quotas,
        revocations=revocations,
        public_url=settings.public_url or None,
    )

    realtime = RealtimeServer(
        origins=origins,
        verifier=verifier,
        upstream=upstream,
        refusal=_render_refusal,
        limits=RelayLimits(max_sessions=settings.max_sessions),
        observer=SessionLog(),
        clock=clock,
        ssl_context=ssl.create_default_context(),
        single_use=SINGLE_USE[settings.token_single_use],
        enabled=settings.enable_ws_proxy,
        others=False,
    )

    app = FastAPI(title="voxgate", version=VERSION, docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    install(app)
    app.include_router(create_token_router(tokens, respond))
    app.include_router(create_router(realtime, respond))
    guarded = CorsMiddleware(app, origins)
    return Gateway(settings, EnvelopeMiddleware(guarded), realtime, revocations, dev_key, tuple(made))


def origin_policy(settings: Settings, made: list[str]) -> OriginPolicy:
    """The origins let in. Raises :class:`ConfigurationError`."""
    if settings.environment is Environment.DEV and not (settings.allowed_origins_dev or settings.allowed_origins):
        made.append("ALLOWED_ORIGINS is not set: the usual local development origins are let in")
    return OriginPolicy.parse(settings.environment, settings.origins, missing=settings.missing_origin)


def key_ring(settings: Settings, made: list[str]) -> KeyRing:
    """The keys that sign and verify tokens. Raises :class:`ConfigurationError`."""
    secret = settings.jwt_secret.get_secret_value()
    if not secret:
        made.append("JWT_SECRET is not set: tokens are signed with a key that ends with this process")
        secret = f"dev:{secrets.token_urlsafe(48)}"
    return load_keyring(secret)


def _api_keys(settings: Settings, made: list[str]) -> tuple[ApiKeys, str | None]:
    stored = settings.api_keys.get_secret_value()
    if stored or settings.environment is not Environment.DEV:
        return ApiKeys.parse(stored), None
    made.append("VOXGATE_API_KEYS is not set: an operator key for this run is in the ready line")
    plain, stored = new_key("dev", "operator")
    return ApiKeys.parse(stored), plain


def _upstream(settings: Settings, engine_url: str | None) -> Upstream:
    models = frozenset(settings.models.split(",")) if settings.models else frozenset[str]()
    if settings.upstream == "openai":
        return openai(settings.openai_api_key.get_secret_value(), model=settings.model, models=models)
    if settings.upstream == "azure":
        key = settings.azure_api_key.get_secret_value()
        return azure(settings.azure_endpoint, key, deployment=settings.model, models=models)
    url = settings.upstream
    if url == "engine":
        if engine_url is None:
            raise ConfigurationError(["VOXGATE_UPSTREAM=engine, and no engine was started"])
        return compatible(engine_url, model=settings.model, models=models)
    return compatible(url, api_key=settings.upstream_key.get_secret_value(), model=settings.model, models=models)


def _oidc(settings: Settings, clock: Clock) -> tuple[Authenticator, ...]:
    if not settings.oidc_issuer:
        return ()
    dev = settings.environment is Environment.DEV
    return (
        OidcAuthenticator(
            settings.oidc_issuer,
            settings.oidc_audience,
            settings.oidc_jwks_url,
            clock=clock,
            allow_http_loopback=dev,
        ),
    )


def _render_refusal(error: VoxgateError, trace: Trace, path: str) -> bytes:
    return refusal(error, trace, openai=is_openai(path), instance=instance_of(path)).to_bytes()


def _judged(faults: list[str], build: Callable[[], T]) -> T | None:
    try:
        return build()
    except ConfigurationError as error:
        faults.extend(error.faults)
        return None
