"""Where a model server is and how to greet it. Builds URLs and headers; dials nobody.

Sources: OpenAI Realtime API reference (WebSocket connection), Azure OpenAI v1 GA API. Only the model's name comes
from the client, and no client header goes upstream: an ``OpenAI-Beta`` header, or the client's own credential,
stays here.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from voxgate_core import ConfigurationError, VoxgateError

__all__ = ["DEFAULT_MODEL", "Upstream", "azure", "compatible", "openai"]

DEFAULT_MODEL: Final = "gpt-realtime-2.1"
OPENAI_URL: Final = "wss://api.openai.com/v1/realtime"
MAX_MODEL: Final = 128
_MODEL_PUNCTUATION: Final = frozenset("-_.:/@")


@dataclass(frozen=True, slots=True)
class Upstream:
    """One model server. ``headers`` carry its API key and are kept out of reprs.

    ``models`` are the names a client may ask for; empty allows any. A client that names none gets ``model``.
    """

    name: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    model: str = DEFAULT_MODEL
    models: frozenset[str] = frozenset()

    def url_for(self, asked: str | None) -> str:
        """The URL to dial. Raises :class:`VoxgateError` ``policy_refused`` for a model that is not allowed."""
        model = self.model if asked is None else asked
        readable = all(character.isalnum() or character in _MODEL_PUNCTUATION for character in model)
        if not (0 < len(model) <= MAX_MODEL and model.isascii() and readable):
            raise VoxgateError("policy_refused", "this is not the name of a model")
        if self.models and model != self.model and model not in self.models:
            raise VoxgateError("policy_refused", "this model is not allowed here")
        return f"{self.url}?{urlencode({'model': model})}"


def openai(api_key: str, *, model: str = DEFAULT_MODEL, models: frozenset[str] = frozenset()) -> Upstream:
    """OpenAI itself. Raises :class:`ConfigurationError` without a key."""
    if not api_key:
        raise ConfigurationError(["OPENAI_API_KEY is not set, and VOXGATE_UPSTREAM=openai needs it"])
    return Upstream("openai", OPENAI_URL, (("Authorization", f"Bearer {api_key}"),), model, models)


def azure(endpoint: str, api_key: str, *, deployment: str, models: frozenset[str] = frozenset()) -> Upstream:
    """Azure OpenAI. ``endpoint`` is ``https://<resource>.openai.azure.com``, ``deployment`` stands for the model.

    Raises :class:`ConfigurationError` listing what is missing or unusable.
    """
    faults = []
    parts = _split(endpoint)
    if parts is None or parts.scheme not in ("https", "wss") or parts.query or parts.username:
        faults.append("AZURE_OPENAI_ENDPOINT must be https://<resource>.openai.azure.com")
    if not api_key:
        faults.append("AZURE_OPENAI_API_KEY is not set, and VOXGATE_UPSTREAM=azure needs it")
    if faults or parts is None:
        raise ConfigurationError(faults)
    return Upstream(
        "azure", f"wss://{parts.netloc}/openai/v1/realtime", (("api-key", api_key),), deployment, models
    )  # fmt: skip


def compatible(
    url: str, *, api_key: str = "", model: str = DEFAULT_MODEL, models: frozenset[str] = frozenset()
) -> Upstream:
    """Any server that speaks the protocol at a ``ws://`` or ``wss://`` URL, with a Bearer key where one is set.

    Raises :class:`ConfigurationError` for a URL that cannot be dialled, or a key that would travel unencrypted to
    another machine.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in ("ws", "wss"):
        raise ConfigurationError(["VOXGATE_UPSTREAM must be engine, openai, azure, or a ws:// or wss:// URL"])
    faults = []
    if parts.username or parts.password or parts.query or parts.fragment:
        faults.append("VOXGATE_UPSTREAM must not hold a user, a password, a query or a fragment")
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if api_key and parts.scheme == "ws" and not loopback:
        faults.append("VOXGATE_UPSTREAM_KEY would travel unencrypted: use a wss:// URL")
    if faults:
        raise ConfigurationError(faults)
    headers = (("Authorization", f"Bearer {api_key}"),) if api_key else ()
    return Upstream("compatible", url, headers, model, models)


def _split(url: str) -> SplitResult | None:
    """The parts of a URL with a host and, if any, a port that can be; ``None`` for anything else."""
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:  # brackets that do not match, a port that is none
        return None
