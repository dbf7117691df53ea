"""The fan-out half of the fake gateway: events are delivered to its stub in memory, and the lies about that."""

import json
import secrets
import time

from tests.gates.fake_http import Refusal, Request, Response

__all__ = ["FakeFanout"]

MAX_EVENT = 256 * 1024


class FakeFanout:
    """What the fan-out routes answer, once the caller was judged. ``lies`` names the promises to break.

    Deliveries wait in a line. Whoever looks for an event in vain sets it going, up to that event's first delivery.
    """

    def __init__(self, lies: frozenset[str]) -> None:
        self._lies = lies
        self._types: dict[str, str] = {}
        self._line: list[str] = []
        self._counts: dict[str, int] = {}
        self._answers: dict[str, tuple[bytes, dict[str, object]]] = {}

    def post(self, request: Request) -> Response:
        event = self._read(request)
        key = request.headers.get("idempotency-key")
        if key is None:
            return self._accept(event)
        body, answered = self._answers.get(key, (request.body, {}))
        if not answered or ("replay-new-event" in self._lies and body == request.body):
            response = self._accept(event)
            assert isinstance(response.body, dict)
            self._answers[key] = request.body, response.body
            return response
        if body != request.body and "reused-key" not in self._lies:
            raise Refusal(409, "request_differs" if "reused-key-unnamed" in self._lies else "conflict")
        if "replay-delivered" in self._lies:
            self._line += self._types
        return Response(202, answered, {} if "replay-untold" in self._lies else {"idempotency-replayed": "true"})

    def receive(self, request: Request) -> Response:
        """A delivery from outside. The fake's own ones never come this way, so whoever signed it is a forger."""
        if self._lies & {"believes-forgeries", "notes-forgeries"}:
            event_id = request.headers["webhook-id"]
            self._types[event_id], self._counts[event_id] = "gate.smoke", 1
        if "believes-forgeries" in self._lies:
            return Response(200, {"success": True, "data": {}})
        raise Refusal(401, "credential_invalid", WWW_Authenticate='Bearer realm="fake"')

    def received(self, event_id: str) -> Response:
        if event_id not in self._counts:
            self._deliver_until(event_id)
            raise Refusal(404, "not_found")
        data = {
            "eventId": "another" if "another-event" in self._lies else event_id,
            "type": "gate.other" if "another-type" in self._lies else self._types[event_id],
            "receivedAt": time.time(),
            "deliveries": self._counts[event_id],
            "signature": "invalid" if "bad-signature" in self._lies else "valid",
        }
        return Response(200, {"success": True, "data": data})

    def _deliver_until(self, wanted: str) -> None:
        while self._line and "never-delivered" not in self._lies:
            event_id = self._line.pop(0)
            if "delivers-one" not in self._lies or not self._counts:
                self._counts[event_id] = self._counts.get(event_id, 0) + (2 if "delivered-twice" in self._lies else 1)
            if event_id == wanted:
                return

    def _accept(self, event: dict[str, object]) -> Response:
        if "fanout-503" in self._lies:
            raise Refusal(503, "unavailable")
        event_id = f"evt_{secrets.token_hex(16)}"
        self._types[event_id] = str(event["type"])
        self._line += [event_id] * (2 if "delivered-late-again" in self._lies else 1)
        is_off = "stub-off" in self._lies
        data = {"eventId": event_id, "targets": [] if is_off else ["stub"], "stub": not is_off}
        if "no-event-id" in self._lies:
            del data["eventId"]
        return Response(202, {"success": True, "data": data})

    def _read(self, request: Request) -> dict[str, object]:
        if len(request.body) > MAX_EVENT and "any-size" not in self._lies:
            raise Refusal(413, "body_too_large")
        if request.headers.get("content-type") != "application/json":
            raise Refusal(415, "unsupported_media_type")
        try:
            event = json.loads(request.body, object_pairs_hook=self._members)
        except ValueError:
            raise Refusal(500 if "malformed-500" in self._lies else 400, "malformed_json") from None
        if not isinstance(event, dict):
            raise Refusal(400, "bad_request")
        if "guesses-data" in self._lies:
            event.setdefault("data", {})
        if not isinstance(event.get("type"), str) or not isinstance(event.get("data"), dict):
            raise Refusal(422 if "invalid-422" in self._lies else 400, "bad_request")
        return event

    def _members(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) < len(pairs) and "last-type-wins" not in self._lies:
            raise ValueError("a name twice")
        return dict(pairs)
