"""Who may open a session: the handshake's path, credential, model and subprotocols. Pure.

``admit`` decides on plain values, so that the shell's HTTP types stay in the shell.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from voxgate_engine.session import DEFAULT_MODEL

__all__ = ["Refusal", "admit", "choose_subprotocol", "model_of", "speaks_beta"]

PATH_ENDING = "/realtime"
SUBPROTOCOL = "realtime"
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
BETA_HEADER_VALUE = "realtime=v1"
MAX_MODEL_CHARS = 128
MAX_QUERY_FIELDS = 64


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status and the fields of the API's error body."""

    status: int
    kind: str
    code: str
    message: str

    @property
    def body(self) -> dict[str, object]:
        """The API's JSON error shape."""
        return {"error": {"message": self.message, "type": self.kind, "param": None, "code": self.code}}


def admit(
    target: str,
    *,
    authorizations: Sequence[str],
    api_keys: Sequence[str],
    required_key: str | None,
    sessions: int,
    max_sessions: int,
) -> Refusal | None:
    """Judge one handshake; ``None`` lets it in.

    ``target`` is the request target; credentials are the raw header values.
    """
    if not target.partition("?")[0].endswith(PATH_ENDING):
        return Refusal(404, "invalid_request_error", "not_found", "There is nothing at this address.")
    if required_key is not None and not _presents(required_key, authorizations, api_keys):
        return Refusal(401, "invalid_request_error", "invalid_api_key", "The API key is missing or wrong.")
    if model_of(target) is None:
        return Refusal(400, "invalid_request_error", "invalid_model", "Name one model, or none for the default.")
    if sessions >= max_sessions:
        return Refusal(503, "server_error", "too_many_sessions", "The engine serves no more sessions at once.")
    return None


def model_of(target: str) -> str | None:
    """The model a request target names, the default when it names none, ``None`` when it can't be told."""
    try:
        models = parse_qs(urlsplit(target).query, max_num_fields=MAX_QUERY_FIELDS).get("model", [DEFAULT_MODEL])
    except ValueError:
        return None
    return models[0] if len(models) == 1 and len(models[0]) <= MAX_MODEL_CHARS else None


def choose_subprotocol(offered: Sequence[str]) -> str | None:
    """Exactly ``realtime``, when it is offered; any other stays unanswered, as a key among them must."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def speaks_beta(offered: Sequence[str], beta_headers: Sequence[str]) -> bool:
    """Whether a client asked for the beta protocol, by subprotocol or by the ``OpenAI-Beta`` header."""
    return BETA_SUBPROTOCOL in offered or any(BETA_HEADER_VALUE in value for value in beta_headers)


def _presents(key: str, authorizations: Sequence[str], api_keys: Sequence[str]) -> bool:
    presented = list(api_keys)
    for value in authorizations:
        scheme, _, credential = value.partition(" ")
        if scheme.lower() == "bearer":
            presented.append(credential.strip())
    if len(presented) != 1:
        return False
    return hmac.compare_digest(presented[0].encode("utf-8", "replace"), key.encode())
