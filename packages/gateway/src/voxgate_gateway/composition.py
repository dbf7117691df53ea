"""The composition root: which part gets which. Reads from top to bottom like a table of contents."""

import os
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from voxgate_backplane import Backplane
from voxgate_core import (
    Clock,
    ConfigurationError,
    Environment,
    KeyValue,
    MemoryKeyValue,
    SessionDirectory,
    SessionObserver,
    SystemClock,
    Trace,
    VoxgateError,
)
from voxgate_fanout import Admission, Deliverer, Fanout, Stub, Target
from voxgate_fanout import create_router as create_fanout_router
from voxgate_gateway.decisions import TokenDecisions
from voxgate_gateway.elsewhere import Elsewhere
from voxgate_gateway.fanning import STUB, FanoutPlan, plan_fanout
from voxgate_gateway.figures import Figures, fanout_readings, health_readings, store_readings
from voxgate_gateway.judging import judged
from voxgate_gateway.observers import Observers
from voxgate_gateway.php import local_stub
from voxgate_gateway.refusal_log import RefusalLines, RefusalLog
from voxgate_gateway.routes import create_router
from voxgate_gateway.session_log import SessionLog
from voxgate_gateway.settings import Settings
from voxgate_gateway.shared_plane import check_plane
from voxgate_gateway.store.location import locate
from voxgate_gateway.store.readers import ReaderGate
from voxgate_gateway.store.tee import Tee
from voxgate_gateway.strangers import unknown
from voxgate_gateway.version import VERSION
from voxgate_gateway.vitals import gateway_health
from voxgate_observability import Health
from voxgate_observability.exposition import Exposition
from voxgate_realtime import (
    Dialect,
    Finder,
    RealtimeServer,
    RelayLimits,
    Upstream,
    azure,
    compatible,
    nowhere,
    openai,
)
from voxgate_responder import EnvelopeMiddleware, install, instance_of, is_openai, refusal, respond
from voxgate_responder.endpoints import PhpBackend, create_stub_router
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
    RequestGate,
    Revocations,
    TokenIssuer,
    TokenService,
    Verifier,
    check_public_url,
    load_keyring,
    new_key,
)
from voxgate_security import create_router as create_token_router

if TYPE_CHECKING:
    from voxgate_gateway.store.service import ConversationStore

__all__ = ["Gateway", "Surroundings", "compose", "key_ring", "origin_policy"]

SCOPE: Final = "realtime"
"""The scope a token needs to open a session."""

ANY_ENGINE: Final = "ws://127.0.0.1/v1/realtime"
"""Stands in for the engine's address where nothing is dialled."""

ANYWHERE: Final = "http://127.0.0.1:8080"
"""Stands in for our own address where nothing is served."""

SINGLE_USE: Final = {
    "native": frozenset({Dialect.NATIVE}),
    "all": frozenset(Dialect),
    "none": frozenset[Dialect](),
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway is put into: where it answers, and what it shares with others.

    ``url`` is where this process reaches itself. ``control`` is the stored form of the key of the control file.
    ``directory`` says where sessions are, and ``node`` is this process there.
    """

    url: str
    plane: Backplane
    deliverer: Deliverer
    php: PhpBackend | None = None
    conversations: "ConversationStore | None" = None
    observers: tuple[SessionObserver, ...] = ()
    control: str = ""
    directory: SessionDirectory | None = None
    node: str = ""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is ready to be served. ``made`` says what was made up because it was left unset.

    ``fanout`` is ``None`` for one that was only composed to be judged.
    """

    settings: Settings
    app: ASGIApp
    realtime: RealtimeServer
    revocations: Revocations
    fanout: Fanout | None
    health: Health
    dev_key: str | None = field(repr=False)
    made: tuple[str, ...]


def compose(
    settings: Settings,
    *,
    engine_url: str | None,
    around: Surroundings | None = None,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
) -> Gateway:
    """Wire a gateway. ``engine_url`` is where the offline engine answers, when the settings ask for it.

    Without surroundings the settings are judged, and what is shared lies in memory: nothing can be served for long.
    Raises :class:`ConfigurationError` with every fault of every part.
    """
    clock = clock or SystemClock()
    made: list[str] = list(settings.notes())
    made += unknown(environ)
    faults = settings.faults()
    store: KeyValue = MemoryKeyValue(clock) if around is None else around.plane.store
    own_url = ANYWHERE if around is None else around.url

    origins = judged(faults, lambda: origin_policy(settings, made))
    ring = judged(faults, lambda: key_ring(settings, made))
    keys = judged(faults, lambda: _api_keys(settings, made, "" if around is None else around.control))
    oidc = judged(faults, lambda: _oidc(settings, clock))
    quotas = judged(
        faults, lambda: IssuanceQuotas(settings.quota_subject, settings.quota_address, store=store, clock=clock)
    )
    upstream = judged(faults, lambda: _upstream(settings, engine_url))
    plan = judged(faults, lambda: plan_fanout(settings, environ, own_url))
    judged(faults, lambda: check_plane(settings))
    judged(faults, lambda: locate(settings.data_dir, settings.database_url.get_secret_value()))
    if settings.public_url:
        judged(faults, lambda: check_public_url(settings.public_url))
    if faults or not (origins and ring and keys and oidc is not None and quotas and upstream and plan):
        raise ConfigurationError(faults)
    api_keys, dev_key = keys
    made += plan.made
    authenticators = Authenticators([ApiKeyAuthenticator(api_keys), *oidc])

    revocations = Revocations(store, clock)
    verifier = Verifier(ring, clock, settings.environment, store, revocations, required_scope=SCOPE)
    issuer = TokenIssuer(ring, clock, settings.environment)
    tokens = TokenService(
        issuer=issuer,
        authenticators=authenticators,
        origins=origins,
        quotas=quotas,
        revocations=revocations,
        public_url=settings.public_url or None,
    )
    fanout = None if around is None else _fanout(settings, plan, around, clock)
    kept = None if around is None else around.conversations
    recorders = () if kept is None else (kept.recorder,)

    figures, refusals = Figures(), RefusalLines(clock)
    realtime = RealtimeServer(
        origins=origins,
        verifier=verifier,
        upstream=upstream,
        refusal=partial(_render_refusal, refusals),
        limits=RelayLimits(
            max_sessions=settings.max_sessions,
            max_sessions_per_token=settings.max_sessions_per_token,
            resume_grace=settings.resume_seconds,
        ),
        observer=Observers(SessionLog(), figures, *(() if around is None else around.observers), *recorders),
        events=None if fanout is None else Tee(fanout, figures, *recorders),
        clock=clock,
        ssl_context=ssl.create_default_context(),
        single_use=SINGLE_USE[settings.token_single_use],
        enabled=settings.enable_ws_proxy,
        others=False,
        timed=figures.relay.observe,
        elsewhere=_elsewhere(around, issuer, clock),
    )

    app = FastAPI(title="voxgate", version=VERSION, docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    install(app)
    app.include_router(create_token_router(tokens, respond))
    health = gateway_health(
        realtime,
        plane=None if around is None else around.plane,
        fanout=fanout,
        kept=kept,
        data_dir=None if around is None else settings.data_dir,
        upstream=upstream,
    )
    sources = [partial(figures.readings, realtime), partial(health_readings, health)]
    sources += [] if fanout is None else [partial(fanout_readings, fanout)]
    sources += [] if kept is None else [partial(store_readings, kept)]
    metrics = None if settings.metrics == "off" else Exposition(sources, worker=settings.worker)
    reader = None if settings.metrics == "open" else RequestGate(origins, authenticators)
    app.include_router(create_router(health, respond, metrics=metrics, gate=reader))
    if kept is not None:
        app.include_router(kept.router(ReaderGate(origins, authenticators), respond))
    if fanout is not None:
        gate = RequestGate(origins, authenticators)
        assert around is not None
        stub_target = partial(_stub_target, fanout) if plan.has_stub else None
        stub = None if stub_target is None else Stub(around.plane.requests, clock, stub_target)
        admission = Admission(settings.fanout_rate, clock)
        app.include_router(create_fanout_router(fanout, gate, respond, stub=stub, admission=admission))
        if around.php is None:
            # Fixtures: no secrets there, and in prod nothing that a visitor should take for real.
            in_prod = settings.environment is Environment.PROD
            app.include_router(
                create_stub_router(respond, local_stub(clock, stub_target), gate=gate if in_prod else None)
            )
        else:
            app.include_router(create_stub_router(respond, around.php, gate=gate))
    guarded = TokenDecisions(CorsMiddleware(app, origins), figures.decided)
    logged = RefusalLog(guarded, refusals)
    return Gateway(settings, EnvelopeMiddleware(logged), realtime, revocations, fanout, health, dev_key, tuple(made))


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


def _api_keys(settings: Settings, made: list[str], control: str) -> tuple[ApiKeys, str | None]:
    stored, plain = settings.api_keys.get_secret_value(), None
    if not stored and settings.environment is Environment.DEV:
        made.append("VOXGATE_API_KEYS is not set: an operator key for this run is in the ready line")
        plain, stored = new_key("dev", "operator")
    return ApiKeys.parse(",".join(entry for entry in (stored, control) if entry)), plain


def _fanout(settings: Settings, plan: FanoutPlan, around: Surroundings, clock: Clock) -> Fanout:
    return Fanout(
        around.plane.queue,
        around.plane.store,
        around.deliverer,
        prod=settings.environment is Environment.PROD,
        policy=plan.policy,
        requests=around.plane.requests,
        fixed=plan.fixed,
        clock=clock,
        max_stored=settings.fanout_max_bytes,
    )


def _elsewhere(around: Surroundings | None, issuer: TokenIssuer, clock: Clock) -> Finder:
    if around is None or around.directory is None:
        return nowhere
    return Elsewhere(around.directory, around.node, issuer, clock)


def _stub_target(fanout: Fanout) -> Target:
    found = fanout.registry.get(STUB)  # by its id: a target that somebody added may have its name
    assert found is not None
    return found


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


def _render_refusal(lines: RefusalLines, error: VoxgateError, trace: Trace, path: str) -> bytes:
    lines.note_upgrade(error, trace, path)
    return refusal(error, trace, openai=is_openai(path), instance=instance_of(path)).to_bytes()
