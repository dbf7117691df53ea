"""Every setting of the gateway, read from the environment and judged whole.

Names without the ``VOXGATE_`` prefix are the ones deployments already use. :func:`load` collects every fault before
it gives up, so that one start shows all there is to mend.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from voxgate_core import ConfigurationError, Environment
from voxgate_gateway.store.modes import StoreMode
from voxgate_realtime import DEFAULT_MODEL
from voxgate_security import MissingOrigin

__all__ = ["DEV_ORIGINS", "Settings", "load"]

DEV_ORIGINS: Final = (
    "http://localhost:3000",
    "http://localhost:5173",
    "http://localhost:8000",
    "http://127.0.0.1:3000",
    "http://127.0.0.1:5173",
    "http://127.0.0.1:8000",
)
"""Origins let in when ``VOXGATE_ENV=dev`` and no list is set: where development servers usually listen."""

SHORTEST_SECRET: Final = 8
"""Characters; anything shorter is no secret, and redacting it would tear holes into ordinary words."""

FEWEST_CHARACTERS: Final = 10
"""Different characters in a signing secret; random text of 32 characters has fewer about once in 10^13."""

EXAMPLE_SECRETS: Final = ("changeme", "change-me", "password", "example", "default", "replace", "your-secret")
"""Words that stand in documentation where a secret belongs."""


def _members(text: str) -> str:
    return ",".join(member.strip() for member in text.split(",") if member.strip())


_USER_IN_URL: Final = re.compile(r"//[^/@\s]*@")


def _number(text: object) -> object:
    """A literal number is not read out of a text by pydantic."""
    return int(text) if isinstance(text, str) and text.strip().isdecimal() else text


CommaList = Annotated[str, NoDecode, AfterValidator(_members)]

MAX_DRAIN_SECONDS: Final = 300.0
"""Longer than any load balancer takes to notice."""


class Settings(BaseSettings):
    """What a deployment may set. Each field's alias is its environment variable."""

    model_config = SettingsConfigDict(
        case_sensitive=True, extra="ignore", populate_by_name=False, frozen=True, env_ignore_empty=True
    )

    environment: Environment = Field(Environment.DEV, alias="VOXGATE_ENV", description="dev, preview or prod")
    allowed_origins: CommaList = Field(
        "", alias="ALLOWED_ORIGINS", description="origins let in, as the browser sends them; comma list"
    )
    allowed_origins_dev: CommaList = Field("", alias="ALLOWED_ORIGINS_DEV", description="the same, for dev only")
    allowed_origins_preview: CommaList = Field(
        "", alias="ALLOWED_ORIGINS_PREVIEW", description="the same, for preview only"
    )
    allowed_origins_prod: CommaList = Field("", alias="ALLOWED_ORIGINS_PROD", description="the same, for prod only")
    missing_origin: MissingOrigin = Field(
        MissingOrigin.ALLOW_WITH_BEARER,
        alias="VOXGATE_MISSING_ORIGIN",
        description="require: a request without Origin is refused; allow_with_bearer: its credential decides",
    )
    jwt_secret: SecretStr = Field(
        SecretStr(""),
        alias="JWT_SECRET",
        description="key ring: a comma list of kid[=state]:secret; the active one signs, without states the first",
    )
    api_keys: SecretStr = Field(
        SecretStr(""), alias="VOXGATE_API_KEYS", description="comma list of name:role:sha256hex (voxgate keys new)"
    )
    oidc_issuer: str = Field("", alias="VOXGATE_OIDC_ISSUER", description="issuer of accepted access tokens")
    oidc_audience: str = Field("", alias="VOXGATE_OIDC_AUDIENCE", description="their audience")
    oidc_jwks_url: str = Field("", alias="VOXGATE_OIDC_JWKS_URL", description="https URL of the issuer's JWKS")
    quota_subject: str = Field(
        "60/minute", alias="VOXGATE_QUOTA_SUBJECT", description="tokens one subject may be issued"
    )
    quota_address: str = Field(
        "300/minute", alias="VOXGATE_QUOTA_ADDRESS", description="tokens one client address may ask for"
    )
    enable_ws_proxy: bool = Field(True, alias="ENABLE_WS_PROXY", description="off: /realtime answers 1013")
    upstream: str = Field(
        "engine", alias="VOXGATE_UPSTREAM", description="engine, openai, azure, or a ws:// or wss:// URL"
    )
    upstream_key: SecretStr = Field(
        SecretStr(""), alias="VOXGATE_UPSTREAM_KEY", description="Bearer key for an upstream given as a URL"
    )
    openai_api_key: SecretStr = Field(SecretStr(""), alias="OPENAI_API_KEY", description="for VOXGATE_UPSTREAM=openai")
    azure_endpoint: str = Field("", alias="AZURE_OPENAI_ENDPOINT", description="https://<resource>.openai.azure.com")
    azure_api_key: SecretStr = Field(
        SecretStr(""), alias="AZURE_OPENAI_API_KEY", description="for VOXGATE_UPSTREAM=azure"
    )
    model: str = Field(DEFAULT_MODEL, alias="VOXGATE_MODEL", description="asked for when a client names none")
    models: CommaList = Field("", alias="VOXGATE_MODELS", description="models clients may name; empty allows any")
    token_single_use: Literal["native", "all", "none"] = Field(
        "native",
        alias="VOXGATE_TOKEN_SINGLE_USE",
        description="where a token opens one session only: native, all paths, or none",
    )
    max_sessions: int = Field(1000, alias="VOXGATE_MAX_SESSIONS", ge=1, le=100_000, description="live sockets at most")
    max_sessions_per_token: int = Field(
        16,
        alias="VOXGATE_MAX_SESSIONS_PER_TOKEN",
        ge=1,
        le=100_000,
        description="of them, those of one token, where a token opens several",
    )
    resume_seconds: float = Field(
        30.0,
        alias="VOXGATE_RESUME_SECONDS",
        ge=0,
        le=600,
        description="how long a session waits for a client whose connection broke; 0: not at all",
    )
    public_url: str = Field(
        "", alias="VOXGATE_PUBLIC_URL", description="https URL clients reach this gateway by; default: as requested"
    )
    trusted_proxies: CommaList = Field(
        "", alias="VOXGATE_TRUSTED_PROXIES", description="addresses whose X-Forwarded-* headers are believed"
    )
    data_dir: Path = Field(Path(".voxgate"), alias="VOXGATE_DATA_DIR", description="where state on disk lives")
    nats_url: CommaList = Field(
        "", alias="VOXGATE_NATS_URL", description="NATS servers of a cluster; not set: one is run for this gateway"
    )
    nats_user: str = Field("", alias="VOXGATE_NATS_USER", description="user to log in to NATS as")
    nats_password: SecretStr = Field(SecretStr(""), alias="VOXGATE_NATS_PASSWORD", description="its password")
    nats_creds: Path | None = Field(None, alias="VOXGATE_NATS_CREDS", description="creds file to log in with instead")
    nats_ca: Path | None = Field(None, alias="VOXGATE_NATS_CA", description="CA of the servers, for tls:// URLs")
    nats_replicas: Annotated[Literal[1, 3, 5], BeforeValidator(_number)] = Field(
        1, alias="VOXGATE_NATS_REPLICAS", description="servers of the cluster that keep each message"
    )
    nats_prefix: str = Field(
        "voxgate",
        alias="VOXGATE_NATS_PREFIX",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="names of streams begin with it: one for each deployment",
    )
    nats_sync: str = Field(
        "always",
        alias="VOXGATE_NATS_SYNC",
        description="how far the disk may lag behind: always (not at all), or a duration such as 100ms",
    )
    remote_php_base: str = Field("", alias="REMOTE_PHP_BASE", description="base URL of the PHP backend")
    allow_remote_php_fanout: bool = Field(
        False,
        alias="ALLOW_REMOTE_PHP_FANOUT",
        description="on: voice events and the seven endpoints go to REMOTE_PHP_BASE",
    )
    remote_php_path: str = Field(
        "/api/voice-chat.php", alias="VOXGATE_REMOTE_PHP_PATH", description="where the PHP backend takes voice events"
    )
    remote_php_secret: SecretStr = Field(
        SecretStr(""),
        alias="VOXGATE_REMOTE_PHP_SECRET",
        description="whsec_… that signs them; not set: one is made, and shown by `voxgate fanout targets rotate-secret`",
    )
    php_key: SecretStr = Field(
        SecretStr(""), alias="VOXGATE_PHP_KEY", description="bearer key that the PHP backend asks for, if it does"
    )
    fanout_file: Path = Field(
        Path("fanout.toml"),
        alias="VOXGATE_FANOUT_FILE",
        description="targets of voice events; the default may be absent",
    )
    fanout_stub: bool = Field(
        True, alias="VOXGATE_FANOUT_STUB", description="on: a local stub takes events while no PHP backend may"
    )
    fanout_allow_nets: CommaList = Field(
        "",
        alias="VOXGATE_FANOUT_ALLOW_NETS",
        description="networks (CIDR) that targets may be in though they are private",
    )
    fanout_max_bytes: int = Field(
        8 * 1024**3,
        alias="VOXGATE_FANOUT_MAX_BYTES",
        ge=1024**2,
        description="bytes of undelivered events past which no more are accepted",
    )
    fanout_rate: float = Field(
        1000.0,
        alias="VOXGATE_FANOUT_RATE",
        ge=0,
        allow_inf_nan=False,
        description="events a second one caller may post; 0 for no limit",
    )
    conversations: StoreMode = Field(
        StoreMode.OFF,
        alias="VOXGATE_CONVERSATIONS",
        description="what is kept of conversations at most: off, metadata, redacted or full",
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        alias="VOXGATE_DATABASE_URL",
        description="PostgreSQL or SQLite; not set: a file in the data folder",
    )
    worker: str = Field(
        "", alias="VOXGATE_WORKER", description="set by `voxgate serve --workers` for its workers; leave it alone"
    )
    metrics: Literal["key", "open", "off"] = Field(
        "key", alias="VOXGATE_METRICS", description="/metrics is for an operator's key, for everybody, or for nobody"
    )
    drain_seconds: float = Field(
        0.0,
        alias="VOXGATE_DRAIN_SECONDS",
        ge=0,
        le=MAX_DRAIN_SECONDS,
        allow_inf_nan=False,
        description="seconds from SIGTERM in which /readyz says draining while new sessions still come through",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="VOXGATE_LOG_LEVEL", description="least severe line written: debug, info, warning, error"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values come from what :func:`load` was given, and from nowhere else."""
        return (init_settings,)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origin list in force: the environment's own where set, else the common one, else dev's defaults."""
        own = {
            Environment.DEV: self.allowed_origins_dev,
            Environment.PREVIEW: self.allowed_origins_preview,
            Environment.PROD: self.allowed_origins_prod,
        }[self.environment]
        chosen = own or self.allowed_origins
        if not chosen and self.environment is Environment.DEV:
            return DEV_ORIGINS
        return tuple(chosen.split(",")) if chosen else ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value set, for redaction. Members of a key ring are given singly too."""
        whole = [
            value.get_secret_value()
            for value in (
                self.jwt_secret,
                self.upstream_key,
                self.openai_api_key,
                self.azure_api_key,
                self.nats_password,
                self.remote_php_secret,
                self.php_key,
                self.database_url,
            )
        ]
        parts = [_secret_of(entry) for entry in self.jwt_secret.get_secret_value().split(",")]
        return tuple(secret for secret in whole + parts if len(secret) >= SHORTEST_SECRET)

    def faults(self) -> list[str]:
        """What makes no sense together, or is missing outside dev; a sentence each."""
        return [*_faults(self), *_weak_secrets(self)]

    def notes(self) -> list[str]:
        """What may be meant, and is worth a word."""
        if self.environment is not Environment.DEV and self.upstream == "engine":
            return ["VOXGATE_UPSTREAM is engine: nobody hears a model, only tones"]
        return []

    def shown(self) -> dict[str, object]:
        """Every setting by its variable, secrets as a fingerprint (the first 8 hex digits of their SHA-256)."""
        table: dict[str, object] = {}
        for name, field in type(self).model_fields.items():
            value: Any = getattr(self, name)
            if isinstance(value, SecretStr):
                secret = value.get_secret_value()
                value = f"set, sha256 {hashlib.sha256(secret.encode()).hexdigest()[:8]}" if secret else "not set"
            elif isinstance(value, str | Path):
                value = _USER_IN_URL.sub("//…@", str(value))  # where it must not be, and may be all the same
            table[str(field.alias)] = value
        return table


def load(environ: Mapping[str, str]) -> Settings:
    """Read settings from a mapping such as ``os.environ``.

    Raises :class:`ConfigurationError` with a fault for each variable whose value cannot be read. Whether the values
    make sense together is judged by :meth:`Settings.faults`, and by the parts they are for.
    """
    aliases = {str(field.alias) for field in Settings.model_fields.values()}
    given = {name: value for name, value in environ.items() if name in aliases and value.strip()}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)]
        unreadable = {fault["loc"][0] for fault in error.errors(include_input=False)}
        rest = {name: value for name, value in given.items() if name not in unreadable}
        raise ConfigurationError([*faults, *Settings.model_validate(rest).faults()]) from None


def _faults(settings: Settings) -> Iterator[str]:
    must_be_set = settings.environment is not Environment.DEV
    if must_be_set and not settings.jwt_secret.get_secret_value():
        yield "JWT_SECRET is not set: make one with `voxgate keys rotate`"
    if must_be_set and not settings.api_keys.get_secret_value() and not settings.oidc_issuer:
        yield "nobody could get a token: set VOXGATE_API_KEYS (`voxgate keys new`) or VOXGATE_OIDC_ISSUER"
    if must_be_set and not settings.origins:
        yield f"no origin could connect: set ALLOWED_ORIGINS or ALLOWED_ORIGINS_{settings.environment.name}"
    oidc = (settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks_url)
    if any(oidc) and not all(oidc):
        yield "VOXGATE_OIDC_ISSUER, VOXGATE_OIDC_AUDIENCE and VOXGATE_OIDC_JWKS_URL are set together or not"
    if settings.environment is Environment.PROD and "upstream" not in settings.model_fields_set:
        yield "VOXGATE_UPSTREAM is not set: openai, azure or a wss:// URL (engine, which plays tones, only when written out)"
    yield from _nats_faults(settings)
    if settings.environment is Environment.PROD and settings.public_url.startswith("http://"):
        yield "VOXGATE_PUBLIC_URL must be https in prod: microphones and tokens need it"


def _nats_faults(settings: Settings) -> Iterator[str]:
    login = (settings.nats_user, settings.nats_password.get_secret_value())
    if any(login) and not all(login):
        yield "VOXGATE_NATS_USER and VOXGATE_NATS_PASSWORD are set together or not"
    if any(login) and settings.nats_creds is not None:
        yield "VOXGATE_NATS_CREDS and VOXGATE_NATS_USER are two logins: set one of them"
    if _USER_IN_URL.search(settings.nats_url):
        yield "VOXGATE_NATS_URL must not hold a user or a password: set VOXGATE_NATS_USER and VOXGATE_NATS_PASSWORD"
    if not settings.nats_url:
        needed = {
            "VOXGATE_NATS_USER": any(login),
            "VOXGATE_NATS_CREDS": settings.nats_creds is not None,
            "VOXGATE_NATS_CA": settings.nats_ca is not None,
            "VOXGATE_NATS_REPLICAS": settings.nats_replicas > 1,
        }
        for name, is_set in needed.items():
            if is_set:
                yield f"{name} is for servers of your own: name them in VOXGATE_NATS_URL, or take it out"


def _weak_secrets(settings: Settings) -> Iterator[str]:
    if settings.environment is Environment.DEV:
        return
    for position, entry in enumerate(settings.jwt_secret.get_secret_value().split(","), start=1):
        secret = _secret_of(entry)
        if secret and len(set(secret)) < FEWEST_CHARACTERS:
            yield f"JWT_SECRET, entry {position}: the secret repeats itself; make one with `voxgate keys rotate`"
        if any(word in secret.lower() for word in EXAMPLE_SECRETS):
            yield f"JWT_SECRET, entry {position}: the secret is an example; make one with `voxgate keys rotate`"


def _secret_of(entry: str) -> str:
    """The secret in one entry of a key ring; empty for a key file or a PEM, which nobody picks from an example."""
    material = entry.partition(":")[2] or entry
    return "" if material.startswith("file:") or "BEGIN" in material else material
