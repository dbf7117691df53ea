"""What is asked of the seven endpoints, wherever they are: requests as data. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ENDPOINTS", "PARITY", "Ask", "Endpoint"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, and the status it gets. ``body`` is sent as JSON, ``content`` as it stands."""

    method: str
    path: str
    status: int
    body: object = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: a request that succeeds, one that is refused, and the ``legacy`` fields that repeat ``data``'s.

    ``lasts`` says that its success may leave something behind.
    """

    name: str
    legacy: tuple[str, ...]
    good: Ask
    bad: Ask
    lasts: bool = False


HEALTH: Final = "/api/health.php"
DONNA: Final = "/api/donna_logic.php"
MARKETING: Final = "/api/marketing.php"
CONVERSATIONS: Final = "/api/conversations.php"
VOICE: Final = "/api/voice-chat.php"
SALES: Final = "/api/sales/overview.php"
SETTINGS: Final = "/api/chatbot_settings.php"

_JSON: Final = {"Content-Type": "application/json"}

ENDPOINTS: Final = (
    Endpoint("health", ("status", "version", "checks"), Ask("GET", HEALTH, 200), Ask("DELETE", HEALTH, 405)),
    Endpoint(
        "donna_logic",
        ("reply", "intent"),
        Ask("POST", DONNA, 200, {"text": "What does it cost?"}),
        Ask("POST", DONNA, 422, {"text": ""}),
        lasts=True,
    ),
    Endpoint(
        "marketing",
        ("campaigns", "totals"),
        Ask("GET", f"{MARKETING}?period=7d", 200),
        Ask("GET", f"{MARKETING}?period=8d", 422),
    ),
    Endpoint(
        "conversations",
        ("conversations", "nextCursor"),
        Ask("GET", f"{CONVERSATIONS}?limit=2", 200),
        Ask("GET", f"{CONVERSATIONS}?limit=0", 422),
    ),
    Endpoint(
        "voice-chat",
        ("reply", "sessionId"),
        Ask("POST", VOICE, 200, {"text": "Hello"}),
        Ask("POST", VOICE, 415, content=b"text=Hello", headers={"Content-Type": "application/x-www-form-urlencoded"}),
        lasts=True,
    ),
    Endpoint(
        "sales_overview",
        ("revenue", "orders", "topProducts"),
        Ask("GET", f"{SALES}?period=90d", 200),
        Ask("GET", f"{SALES}?period=", 422),
    ),
    Endpoint(
        "chatbot_settings",
        ("settings",),
        Ask("GET", SETTINGS, 200),
        Ask("POST", SETTINGS, 422, {"temperature": 2.5}),
    ),
)
"""The seven, each with the schema of its name."""

PARITY: Final = (
    *(ask for endpoint in ENDPOINTS if not endpoint.lasts for ask in (endpoint.good, endpoint.bad)),
    *(endpoint.bad for endpoint in ENDPOINTS if endpoint.lasts),
    # Ids are given, since new ones are chosen by chance.
    Ask("POST", DONNA, 200, {"text": "Hello", "conversationId": "gate-1"}),
    Ask("POST", DONNA, 200, {"text": "my name is Ada", "conversationId": "gate-1"}),
    Ask("POST", DONNA, 200, {"text": "yes", "previousIntent": "demo", "conversationId": "gate-1"}),
    Ask("POST", DONNA, 200, {"text": "Grüße, ça va? 😀", "conversationId": "gate-1"}),
    Ask("POST", DONNA, 422, {"text": "Hello", "conversationId": "../up", "more": 1}),
    Ask("POST", DONNA, 422, []),
    Ask("POST", DONNA, 400, content=b'{"text": ', headers=_JSON),
    Ask("POST", DONNA, 400, content=b'{"text": "\xff"}', headers=_JSON),
    Ask("POST", VOICE, 200, {"text": "What are your hours?", "sessionId": "gate-1"}),
    Ask("POST", VOICE, 422, {"text": 1}),
    Ask("POST", SETTINGS, 200, {"temperature": 0.1, "maxTurns": 5, "topics": []}),
    Ask("POST", SETTINGS, 200, {}),
    Ask("POST", SETTINGS, 422, {"language": "EN", "maxTurns": 0, "topics": {}}),
    Ask("GET", CONVERSATIONS, 200),
    Ask("GET", f"{CONVERSATIONS}?limit=1&cursor=conv_fixture_01", 200),
    Ask("GET", f"{CONVERSATIONS}?id=conv_fixture_02", 200),
    Ask("GET", f"{CONVERSATIONS}?id=there-is-none", 404),
    Ask("GET", f"{CONVERSATIONS}?id=..%2Fup", 422),
    Ask("DELETE", f"{CONVERSATIONS}?id=there-is-none", 404),
    Ask("DELETE", CONVERSATIONS, 422),
    Ask("GET", MARKETING, 200),
    Ask("GET", f"{SALES}?period=7d&other=%20", 200),
    Ask("PUT", SALES, 405),
    Ask("GET", DONNA, 405),
)
"""Asked of the PHP shim and of the gateway: the answers must be equal but for what is new each time."""
