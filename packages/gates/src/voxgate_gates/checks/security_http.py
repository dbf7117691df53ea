"""The Security gate, second half: every answer has one shape and the headers that browsers need."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from voxgate_gates.check import Need, Severity, Suite
from voxgate_gates.checks.security import BAD_ORIGIN
from voxgate_gates.condition import ABSENT
from voxgate_gates.envelope import TRACE_HEADER, envelope_faults, header_faults, parse_json, trace_faults
from voxgate_gates.probe import Answer, Probe

__all__ = ["suite"]

suite = Suite("security")

OVERSIZE: Final = 4 * 1024 * 1024
"""Bytes of a body no token request needs."""

SENT_TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The example of the W3C Trace Context specification, section 3.2."""

GARBAGE: Final = b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe not http at all\r\n\r\n"
"""What a TLS client sends to a port that speaks plain HTTP, and then some."""

JSON: Final = {"Content-Type": "application/json"}

IN_ENVELOPE: Final = "[ENVELOPE_FAULTS] == []"


@suite.check(
    "token-wrong-method-405",
    promise="The wrong method gets 405 in the envelope, with the allowed ones named.",
    condition=f'[STATUS] == 405 && [HEADER].allow contains "POST" && {IN_ENVELOPE}',
    advice="Render the framework's own 405 through the error envelope and keep its Allow header.",
    severity=Severity.MINOR,
    needs=[Need.ORIGIN],
)
async def wrong_method(probe: Probe) -> Mapping[str, object]:
    target = probe.target
    return (await probe.http("GET", target.routes.token, origin=target.origin, bearer=target.key)).facts()


@suite.check(
    "token-malformed-json-400",
    promise="A body that is not JSON gets 400 in the envelope.",
    condition=f"[STATUS] == 400 && {IN_ENVELOPE}",
    advice="Map the JSON decoder's error to 400; 422 is for JSON that does not fit, 500 for our own faults.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def malformed_json(probe: Probe) -> Mapping[str, object]:
    return (await _post(probe, b'{"sub": ', JSON)).facts()


@suite.check(
    "token-wrong-content-type-415",
    promise="A body that does not claim to be JSON gets 415 in the envelope, so that no plain form can post one.",
    condition=f"[STATUS] == 415 && {IN_ENVELOPE}",
    advice="Refuse content types other than application/json; browsers send text/plain across origins unasked.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def wrong_content_type(probe: Probe) -> Mapping[str, object]:
    return (await _post(probe, b'{"sub": "gate"}', {"Content-Type": "text/plain"})).facts()


@suite.check(
    "token-body-too-large-413",
    promise="A body far too large gets 413 in the envelope.",
    condition=f"[STATUS] == 413 && {IN_ENVELOPE}",
    advice="Bound the body by Content-Length and while reading, before anything parses it.",
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
)
async def body_too_large(probe: Probe) -> Mapping[str, object]:
    return (await _post(probe, b" " * OVERSIZE, JSON)).facts()


@suite.check(
    "missing-route-404",
    promise="An address with nothing behind it gets 404 in the envelope.",
    condition=f"[STATUS] == 404 && {IN_ENVELOPE}",
    advice="Render the framework's own 404 through the error envelope.",
    severity=Severity.MINOR,
)
async def missing_route(probe: Probe) -> Mapping[str, object]:
    return (await probe.http("GET", probe.target.routes.missing)).facts()


@suite.check(
    "security-headers",
    promise="Every answer carries the security headers, errors included.",
    condition="[HEADER_FAULTS] == []",
    advice="Add the headers in the outermost middleware, so that no error handler can answer around it.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def security_headers(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    target, routes = probe.target, probe.target.routes
    answers = {
        "404": await probe.http("GET", routes.missing),
        "403": await probe.http("POST", routes.token, origin=BAD_ORIGIN, json={}),
        "401": await probe.http("POST", routes.token, origin=target.origin, json={}),
        "405": await probe.http("GET", routes.token, origin=target.origin),
        "a token": await probe.http(
            "POST", routes.token, origin=target.origin, bearer=target.key, json={"sub": "gate-headers"}
        ),
    }
    faults = [f"{fault} on {name}" for name, answer in answers.items() for fault in header_faults(answer.headers)]
    return {"HEADER_FAULTS": faults}


@suite.check(
    "trace-id-fresh",
    promise="Every answer names its own trace id, the same in header and body.",
    condition="[TRACE_FAULTS] == [] && [FIRST_TRACE] != [SECOND_TRACE]",
    advice="Make a trace id of 32 hex digits per request, before anything can answer.",
    severity=Severity.MINOR,
)
async def trace_id_fresh(probe: Probe) -> Mapping[str, object]:
    first = await probe.http("GET", probe.target.routes.missing, traced=False)
    second = await probe.http("GET", probe.target.routes.missing, traced=False)
    return {
        "TRACE_FAULTS": [*_trace_faults(first), *_trace_faults(second)],
        "FIRST_TRACE": first.headers.get(TRACE_HEADER, ABSENT),
        "SECOND_TRACE": second.headers.get(TRACE_HEADER, ABSENT),
    }


@suite.check(
    "trace-id-continued",
    promise="A caller's valid traceparent is continued: the answer names the caller's trace id.",
    condition="[HEADER].x-trace-id == [SENT] && [BODY].traceId == [SENT]",
    advice="Read the W3C traceparent header and take its trace-id when it is valid.",
    severity=Severity.MINOR,
)
async def trace_id_continued(probe: Probe) -> Mapping[str, object]:
    headers = {"traceparent": f"00-{SENT_TRACE}-00f067aa0ba902b7-01"}
    answer = await probe.http("GET", probe.target.routes.missing, headers=headers)
    return {**answer.facts(), "SENT": SENT_TRACE}


@suite.check(
    "preflight-allowed",
    promise="A page of an allowed origin may call the token route: the preflight names exactly that origin.",
    condition=(
        "[STATUS] >= 200 && [STATUS] <= 204 && [HEADER].access-control-allow-origin == [ORIGIN] && "
        '[VARY] contains "origin" && [METHODS] contains "post" && [ALLOWED_HEADERS] contains "authorization" && '
        '[ALLOWED_HEADERS] contains "content-type"'
    ),
    advice="Answer OPTIONS for an allowed origin with that origin, POST, and the authorization and content-type headers.",
    needs=[Need.ORIGIN],
)
async def preflight_allowed(probe: Probe) -> Mapping[str, object]:
    answer = await _preflight(probe, probe.target.origin)
    return {
        **answer.facts(),
        "ORIGIN": probe.target.origin,
        "METHODS": _members(answer, "access-control-allow-methods"),
        "ALLOWED_HEADERS": _members(answer, "access-control-allow-headers"),
    }


@suite.check(
    "preflight-refused",
    promise="A page of any other origin is told no by the preflight.",
    condition='[STATUS] == 403 && [HEADER].access-control-allow-origin absent && [VARY] contains "origin"',
    advice="Refuse a preflight by the same origin verdict as the request, and add no CORS header.",
    severity=Severity.CRITICAL,
)
async def preflight_refused(probe: Probe) -> Mapping[str, object]:
    return (await _preflight(probe, BAD_ORIGIN)).facts()


@suite.check(
    "token-vary-origin",
    promise="Answers that depend on the origin say so, and name exactly the caller's own: no cache mixes two pages up.",
    condition="[WITHOUT_VARY] == [] && [HEADER].access-control-allow-origin == [ORIGIN]",
    advice="Send `Vary: Origin` on every answer of the route, refusals included, and echo the one origin, never `*`.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def vary_origin(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    target, route = probe.target, probe.target.routes.token
    answers = {
        "403": await probe.http("POST", route, origin=BAD_ORIGIN, json={}),
        "401": await probe.http("POST", route, origin=target.origin, json={}),
        "a token": await probe.http("POST", route, origin=target.origin, bearer=target.key, json={"sub": "gate-vary"}),
    }
    return {
        "HEADER": answers["a token"].headers,
        "ORIGIN": target.origin,
        "WITHOUT_VARY": [name for name, answer in answers.items() if "origin" not in _members(answer, "vary")],
    }


@suite.check(
    "health-head",
    promise="HEAD on the health route answers as GET does, without a body: load balancers ask that way.",
    condition="[STATUS] == 200 && [BODY_BYTES] == 0",
    advice="Allow HEAD on the health route and drop the body after its length is known.",
    severity=Severity.MINOR,
)
async def health_head(probe: Probe) -> Mapping[str, object]:
    target = probe.target
    path = urlsplit(target.http_url(target.routes.health)).path
    host = f"{target.host}:{target.port}" if ":" not in target.host else f"[{target.host}]:{target.port}"
    request = f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    status, _, body = _parse_raw(await probe.raw(request.encode("ascii")))
    return {"STATUS": status, "BODY_BYTES": len(body)}


@suite.check(
    "garbage-bytes-400",
    promise="Bytes that are not HTTP get 400 in the envelope, and the server lives.",
    condition=f"[STATUS] == 400 && {IN_ENVELOPE} && [ALIVE] == 200",
    advice="Replace the HTTP parser's own error page by the envelope; look for a crash in the log when ALIVE is not 200.",
    safe_on_production=False,
)
async def garbage_bytes(probe: Probe) -> Mapping[str, object]:
    status, headers, body = _parse_raw(await probe.raw(GARBAGE))
    alive = await probe.http("GET", probe.target.routes.health, setup=True)
    faults = envelope_faults(status, headers, parse_json(body)) if isinstance(status, int) else ["no HTTP answer came"]
    return {"STATUS": status, "ENVELOPE_FAULTS": faults, "ALIVE": alive.status}


async def _post(probe: Probe, content: bytes, headers: Mapping[str, str]) -> Answer:
    target = probe.target
    return await probe.http(
        "POST", target.routes.token, origin=target.origin, bearer=target.key, content=content, headers=headers
    )


async def _preflight(probe: Probe, origin: str | None) -> Answer:
    headers = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return await probe.http("OPTIONS", probe.target.routes.token, origin=origin, headers=headers)


def _members(answer: Answer, name: str) -> list[str]:
    return [member.strip().lower() for member in answer.headers.get(name, "").split(",") if member.strip()]


def _trace_faults(answer: Answer) -> list[str]:
    body = answer.body
    return trace_faults(answer.headers, body if isinstance(body, Mapping) else {})


def _parse_raw(received: bytes) -> tuple[object, dict[str, str], bytes]:
    """Status (ABSENT when the bytes are no HTTP answer), headers in lower case, and what follows them."""
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    words = status_line.split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdecimal():
        return ABSENT, {}, b""
    pairs = [line.partition(":") for line in lines]
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, body
