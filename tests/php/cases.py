"""What is asked of both the PHP shim and the Python stub, which must give the same answers, byte for byte."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CASES", "ENDPOINTS", "EVENT", "JSON", "TRACE", "TRACEPARENT", "Case", "event", "raw"]

TRACE = "0123456789abcdef0123456789abcdef"
TRACEPARENT = f"00-{TRACE}-{'1' * 16}-01"
JSON = {"Content-Type": "application/json"}
EVENT = {"Content-Type": "application/cloudevents+json"}

ENDPOINTS = {
    "health": "/api/health.php",
    "donna_logic": "/api/donna_logic.php",
    "marketing": "/api/marketing.php",
    "conversations": "/api/conversations.php",
    "voice-chat": "/api/voice-chat.php",
    "sales_overview": "/api/sales/overview.php",
    "chatbot_settings": "/api/chatbot_settings.php",
}


@dataclass(frozen=True)
class Case:
    """One request, and the status it gets. ``target`` is what follows the endpoint's path."""

    name: str
    endpoint: str
    method: str
    status: int
    target: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def raw(self) -> bytes:
        return raw(self.method, ENDPOINTS[self.endpoint] + self.target, self.headers, self.body)


def raw(method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> bytes:
    """The request as HTTP/1.1 writes it."""
    sent = {"Host": "localhost", "traceparent": TRACEPARENT, **(headers or {})}
    if body is not None:
        sent.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
    return "\r\n".join(lines).encode() + (body or b"")


def event(**changed: Any) -> bytes:
    """A voice event as the fan-out delivers it."""
    members = {"specversion": "1.0", "id": "evt_1", "source": "/voxgate", "type": "voice.turn.completed", "data": {}}
    return json.dumps({**members, **changed}).encode()


def _text(text: str, **more: Any) -> bytes:
    return json.dumps({"text": text, **more}).encode()


def _turns() -> list[Case]:
    said = {
        "greeting": _text("Hello"), "price": _text("WHAT does it cost?"), "name": _text("my name is ada"),
        "after": _text("yes", previousIntent="demo"), "nulls": _text("hi", previousIntent=None, conversationId=None),
        "id": _text("hi", conversationId="c-1_A"), "emoji": _text("😀 hi 😀"), "umlauts": _text("Grüße, ça va"),
        "nul": _text("\0hi\0"), "longest": _text("é" * 2000), "escapes": b'{"text":"\\u0068i \\ud83d\\ude00"}',
        "twice": b'{"text":"hi","text":"bye"}', "blanks-around": b' \r\n\t{"text":"hi"} \n',
    }  # fmt: skip
    refused = {
        "empty": (400, b""), "half": (400, b'{"text":'), "not-json": (400, b"text=hi"), "nan": (400, b'{"text":NaN}'),
        "infinite": (400, b'{"text":1e999}'), "half-a-pair": (400, b'{"text":"\\ud800"}'),
        "not-utf8": (400, b'{"text":"\xff"}'), "overlong": (400, b'{"text":"\xc0\xaf"}'),
        "bom": (400, b"\xef\xbb\xbf{}"),
        "nul-name": (400, b'{"text":"hi","\\u0000a":1}'), "deep": (400, b'{"text":' + b"[" * 70 + b"]" * 70 + b"}"),
        "very-deep": (400, b"[" * 100_000), "control": (400, b'{"text":"a\x01"}'), "two-values": (400, b"{} {}"),
        "null": (422, b"null"), "list": (422, b"[]"), "text": (422, b'"text"'), "number": (422, b"1"),
        "nothing": (422, b"{}"), "blanks": (422, _text(" \t\r\n")), "number-as-text": (422, b'{"text":1}'),
        "list-as-text": (422, b'{"text":[]}'), "too-long": (422, _text("é" * 2001)),
        "null-text": (422, b'{"text":null}'),
        "bad-id": (422, _text("hi", conversationId="../x")),
        "id-and-line-feed": (422, _text("hi", conversationId="a\n")),
        "long-id": (422, _text("hi", conversationId="a" * 65)), "bad-intent": (422, _text("hi", previousIntent="<b>")),
        "proto": (422, _text("hi", **{"__proto__": {}, "constructor": 1})),
        "numeric-names": (422, _text("hi", **{"0": 1, "1": 2})),
        "many-unknown": (422, _text("hi", **{f"k{place}": 1 for place in range(50)})),
        "empty-name": (422, _text("hi", **{"": 1})),
        "long-unknown": (422, _text("hi", **{"é" * 200: 1})), "big-int": (422, b'{"text":18446744073709551616}'),
    }  # fmt: skip
    good = [Case(f"turn-{name}", "donna_logic", "POST", 200, headers=JSON, body=body) for name, body in said.items()]
    bad = [
        Case(f"turn-{name}", "donna_logic", "POST", status, headers=JSON, body=body)
        for name, (status, body) in refused.items()
    ]
    return good + bad


def _voice() -> list[Case]:
    heard, json_type = {"sessionId": "s", "role": "user", "text": "hi"}, "application/json"
    bodies = {
        "event": (200, EVENT, event()), "extension": (200, EVENT, event(traceid="x", data={"a": [1, {}]})),
        "transcript": (200, EVENT, event(type="voice.transcript.completed", data=heard)),
        "subject": (200, EVENT, event(subject="sess_1", time="2026-11-25T22:05:00Z", datacontenttype=json_type)),
        "text": (200, JSON, _text("hi")), "session": (200, JSON, _text("hi", sessionId="sess_1")),
        "no-data": (422, EVENT, event(data=None)), "data-a-list": (422, EVENT, event(data=[])),
        "version": (422, EVENT, event(specversion="0.3")),
        "bad-type": (422, EVENT, event(type="Bad Type")), "bad-id": (422, EVENT, event(id="a.b")),
        "nothing": (422, EVENT, b"{}"),
        "event-as-text": (422, JSON, event()), "text-as-event": (422, EVENT, _text("hi")),
        "malformed": (400, EVENT, b"{"),
        "form": (415, {"Content-Type": "application/x-www-form-urlencoded"}, b"text=hi"), "no-type": (415, {}, event()),
    }  # fmt: skip
    return [
        Case(f"voice-{name}", "voice-chat", "POST", status, headers=headers, body=body)
        for name, (status, headers, body) in bodies.items()
    ]


def _settings() -> list[Case]:
    every = (
        b'{"enabled":false,"assistantName":"D","greeting":"","language":"pt-BR","voice":"v","temperature":2,'
        b'"maxTurns":200,"topics":["a"]}'
    )
    bodies = {
        "none": (200, b"{}"),
        "all": (200, every),
        "floats": (200, b'{"temperature":0.1,"maxTurns":5.0}'), "tiny": (200, b'{"temperature":1e-7}'),
        "zero": (200, b'{"temperature":0}'),
        "minus-zero": (200, b'{"temperature":-0.0}'), "no-topics": (200, b'{"topics":[]}'),
        "unicode": (200, '{"assistantName":"Дона 😀/\u2028"}'.encode()),
        "hot": (422, b'{"temperature":2.0000001}'), "text": (422, b'{"temperature":"1"}'),
        "half-turn": (422, b'{"maxTurns":1.5}'),
        "huge": (422, b'{"maxTurns":1e300}'), "bool": (422, b'{"maxTurns":true}'), "one": (422, b'{"enabled":1}'),
        "null": (422, b'{"enabled":null}'),
        "object": (422, b'{"topics":{}}'), "inner": (422, b'{"topics":["a",1]}'),
        "control": (422, b'{"assistantName":"a\\u0000"}'),
        "language": (422, b'{"language":"EN"}'),
        "several": (422, b'{"language":"EN","maxTurns":0,"zzz":1,"topics":[""]}'),
        "past-64-bits": (422, b'{"maxTurns":18446744073709551616}'),
        "long-name": (422, b'{"assistantName":"' + b"a" * 41 + b'"}'),
    }  # fmt: skip
    return [
        Case(f"settings-{name}", "chatbot_settings", "POST", status, headers=JSON, body=body)
        for name, (status, body) in bodies.items()
    ]


def _queries() -> list[Case]:
    targets = {
        "conversations": {
            "": 200, "?limit=1": 200, "?limit=2&cursor=conv_fixture_02": 200, "?limit=100": 200, "?cursor=zzz": 200,
            "?id=conv_fixture_01": 200, "?id=conv_fixture_02": 200, "?i%64=conv_fixture_02": 200,
            "?other=%20&limit=3": 200,
            "?limit=0": 422, "?limit=101": 422, "?limit=1.0": 422, "?limit=+1": 422, "?limit=": 422, "?limit": 422,
            "?limit=1&limit=2": 422, "?limit=1%0A": 422, "?cursor=%00": 422, "?id=": 422,
            "?id=..%2F..%2Fetc%2Fpasswd": 422,
            "?id=a%0A": 422, "?id[]=a": 200, "?id=%3Cscript%3E": 422, "?id=" + "a" * 65: 422, "?id=none": 404,
            "?%00=1": 200, "?&&=&limit=2&": 200, "?id=%ff": 400, "?limit=%E2%82%AC": 422,
        },
        "marketing": {"": 200, "?period=7d": 200, "?period=90d&_=17": 200, "?period=8d": 422, "?period=7D": 422,
                      "?period[]=7d": 200},
        "sales_overview": {"": 200, "?period=7d": 200, "?period=90d": 200, "?period=%F0%9F%98%80": 422,
                           "?period=7d;x": 422},
        "chatbot_settings": {"": 200, "?x=1": 200}, "health": {"": 200, "?x": 200},
    }  # fmt: skip
    return [
        Case(f"query-{endpoint}{target}", endpoint, "GET", status, target)
        for endpoint, rows in targets.items()
        for target, status in rows.items()
    ]


def _methods() -> list[Case]:
    takes = {"health": "GET", "donna_logic": "POST", "marketing": "GET", "conversations": "GET DELETE",
             "voice-chat": "POST",
             "sales_overview": "GET", "chatbot_settings": "GET POST"}  # fmt: skip
    cases = []
    for endpoint, methods in takes.items():
        cases += [Case(f"options-{endpoint}", endpoint, "OPTIONS", 204)]
        cases += [Case(f"head-{endpoint}", endpoint, "HEAD", 200 if "GET" in methods else 405)]
        wrong = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE") if method not in methods]
        cases += [Case(f"{method.lower()}-{endpoint}", endpoint, method, 405, body=b"") for method in wrong]
    cases += [
        Case("delete-a-fixture", "conversations", "DELETE", 503, "?id=conv_fixture_01"),
        Case("delete-nothing", "conversations", "DELETE", 422),
        Case("delete-unknown", "conversations", "DELETE", 404, "?id=none"),
        Case("head-refused", "conversations", "HEAD", 422, "?limit=x"),
    ]
    return cases


def _bodies() -> list[Case]:
    types = ["text/plain", "application/json5", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
             "",
             "application/jsonx;application/json", "application/cloudevents+json"]  # fmt: skip
    cases = [
        Case(f"type-{name}", "donna_logic", "POST", 415, headers={"Content-Type": name}, body=b'{"text":"hi"}')
        for name in types
    ]
    cases += [
        Case(f"type-{name}", "donna_logic", "POST", 200, headers={"Content-Type": name}, body=b'{"text":"hi"}')
        for name in ("application/json; charset=utf-8", "Application/JSON", "application/json;x=y")
    ]
    big = b'{"text":"' + b"a" * (1024 * 1024) + b'"}'
    exact = b'{"text":"' + b"a" * (1024 * 1024 - 11) + b'"}'
    return [
        *cases,
        Case("gzip", "donna_logic", "POST", 415, headers={**JSON, "Content-Encoding": "gzip"}, body=b"\x1f\x8b"),
        Case("too-large", "donna_logic", "POST", 413, headers=JSON, body=big),
        Case("too-large-voice", "voice-chat", "POST", 413, headers=EVENT, body=big),
        Case("as-large-as-can-be", "donna_logic", "POST", 422, headers=JSON, body=exact),
        Case("no-trace", "health", "GET", 200, headers={"traceparent": "00-zz"}),
    ]


CASES = [*_turns(), *_voice(), *_settings(), *_queries(), *_methods(), *_bodies()]
