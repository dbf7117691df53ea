"""Writes `tests/vectors/envelope/*.json`: calls of the responder, and the exact answers that both languages must give.

`.venv/bin/python php_shim/tools/vectors.py`, then read what changed: the files are the promise, this is their pen.

An argument that JSON cannot hold is tagged: `{"$digits": "…"}` is a whole number past 64 bits, `{"$float": "nan"}` a
float that JSON lacks, `{"$nest": n}` as many arrays in each other.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.responder.endpoints.vectors import answer_of  # noqa: E402  # the path is set just above

__all__ = ["GROUPS", "main"]

FOLDER = ROOT / "tests" / "vectors" / "envelope"

NUMBERS: dict[str, Any] = {
    "zero": 0, "minus-one": -1, "int-2-53-minus-1": 2**53 - 1, "int-2-53": 2**53, "int-2-53-plus-1": 2**53 + 1,
    "int-minus-2-53-minus-1": -(2**53) - 1, "int-2-63-minus-1": 2**63 - 1, "int-minus-2-63": -(2**63),
    "int-2-63": {"$digits": str(2**63)}, "int-minus-2-63-minus-1": {"$digits": str(-(2**63) - 1)},
    "int-2-64-minus-1": {"$digits": str(2**64 - 1)}, "int-2-64": {"$digits": str(2**64)},
    "int-of-forty-digits": {"$digits": "1234567890" * 4}, "int-small-in-digits": {"$digits": "-7"},
    "float-tenth": 0.1, "float-one": 1.0, "float-zero": 0.0, "float-minus-zero": -0.0, "float-minus-one": -1.0,
    "float-hundred": 100.0, "float-third": 1 / 3, "float-sum": 0.1 + 0.2, "float-price": 19.99,
    "float-1e15": 1e15, "float-1e15-and-a-bit": 1234567890123456.7, "float-1e16": 1e16, "float-1e17": 1e17,
    "float-1e20": 1e20, "float-1e21": 1e21, "float-1-5e21": 1.5e21, "float-1e22": 1e22, "float-1e23": 1e23,
    "float-1e100": 1e100, "float-seventeen-digits": 123456789012345680.0, "float-2-53": float(2**53),
    "float-2-63": float(2**63), "float-1e-3": 0.001, "float-1e-4": 0.0001, "float-1e-5": 1e-5,
    "float-1-2345e-5": 1.2345e-5, "float-1e-6": 1e-6, "float-1e-7": 1e-7, "float-minus-1-5e-7": -1.5e-7,
    "float-smallest": 5e-324, "float-smallest-normal": 2.2250738585072014e-308,
    "float-largest": 1.7976931348623157e308, "float-largest-negative": -1.7976931348623157e308,
    "float-nan": {"$float": "nan"}, "float-infinity": {"$float": "inf"}, "float-minus-infinity": {"$float": "-inf"},
    "float-epsilon": 2.220446049250313e-16, "float-pi": 3.141592653589793, "float-999999999999999.9": 999999999999999.9,
    "float-9999999999999998": 9999999999999998.0, "mixed": [1, 1.0, -0.0, 0, 1e21, {"$digits": str(2**70)}],
}  # fmt: skip

TEXTS: dict[str, str] = {
    "empty": "", "space": " ", "slash": "/", "closing-tag": "</script><!--", "url": "https://example.com/a/b?c=d&e=f#g",
    "quotes": "\"'`", "backslash": "\\", "backslash-u": "\\u0041", "html": "<b>&amp;</b>", "percent": "100 % %41 %s",
    "tab-and-lines": "a\tb\nc\rd\r\n", "backspace-and-form-feed": "\b\f", "nul": "a\0b", "unit-separator": "\x1f",
    "all-controls": "".join(map(chr, range(32))), "delete": "\x7f", "c1-controls": "\x80\x85\x9f",
    "latin-1": "café à la crème", "german": "Grüße, Straße", "combining": "cafe\u0301 A\u030a", "greek": "Ελλάδα",
    "cyrillic": "Привет", "hebrew": "שלום", "arabic": "مرحبا", "chinese": "你好,世界", "japanese": "こんにちは",
    "hindi": "नमस्ते", "thai": "สวัสดี", "emoji": "😀", "emoji-family": "👨\u200d👩\u200d👧\u200d👦", "flag": "🇩🇪",
    "skin-tone": "👋🏽", "astral-letter": "𝒜𐍈", "last-code-point": "\U0010ffff", "first-astral": "\U00010000",
    "byte-order-mark": "\ufeffx", "replacement": "\ufffd", "non-characters": "\ufffe\uffff\ufdd0",
    "private-use": "\ue000\uf8ff", "before-surrogates": "\ud7ff", "line-separator": "a\u2028b", "paragraph": "a\u2029b",
    "next-line": "a\u0085b", "right-to-left-override": "\u202egnp.exe", "zero-width": "a\u200bb\u200d",
    "nbsp": "a\u00a0b",
    "looks-like-null": "null", "looks-like-a-number": "1e5", "digits": "0123", "long": "ab" * 2000,
    "json-in-json": '{"a":[1,"\\u0000"]}', "php": "<?php echo 1; ?>", "sql": "'; DROP TABLE x; --", "dollar": "$a {$b}",
    "script": "<script>alert(1)</script>",
}  # fmt: skip

KEYS: dict[str, str] = {
    "proto": "__proto__", "constructor": "constructor", "to-string": "toString", "empty": "", "zero": "0", "one": "1",
    "minus-one": "-1", "leading-zero": "007", "float": "1.5", "big-number": "99999999999999999999", "slash": "a/b",
    "dot": "a.b", "quote": 'a"b', "backslash": "a\\b", "control": "a\u0001b", "line-separator": "a\u2028b",
    "emoji": "🔑",
    "combining": "e\u0301", "space": " ", "true": "true", "null": "null", "this": "this", "class": "class",
    "dollar": "$ref", "wakeup": "__wakeup", "long": "k" * 300, "brackets": "a[b]", "not-nul-first": "a\0",
}  # fmt: skip

SHAPES: dict[str, Any] = {
    "null": None, "true": True, "false": False, "empty-object": {}, "empty-array": [], "empty-text": "",
    "both-empties": {"object": {}, "array": []}, "array-of-empties": [{}, [], "", None, 0, False],
    "list": [1, 2, 3], "list-of-lists": [[], [[]], [[[]]]], "object-in-list": [{"a": 1}, {"b": 2}],
    "object": {"b": 1, "a": 2}, "order-is-kept": {"z": 1, "y": 2, "x": 3, "10": 4, "9": 5},
    "numeric-keys": {"0": "a", "1": "b"}, "numeric-keys-one-off": {"1": "a", "2": "b"}, "zero-key-alone": {"0": 0},
    "nested-numeric-keys": {"rows": {"0": {}, "1": []}}, "nulls": {"a": None, "b": [None, None]},
    "deep-arrays": [[[[[[[[[[[[[[[["here"]]]]]]]]]]]]]]]],
    "deep-300": {"$nest": 300}, "deep-2000-is-an-error": {"$nest": 2000},
    "rows": [{"id": 1, "name": "Ada", "score": 9.5}, {"id": 2, "name": "Grace", "score": 10.0}],
    "many": list(range(200)), "wide": {f"k{place}": place for place in range(100)},
    "own-members": {"success": False, "traceId": "x", "data": {"data": []}, "error": None},
}  # fmt: skip

ERRORS: dict[str, dict[str, Any]] = {
    "table-not-found": {"code": "not_found"}, "table-internal": {"code": "internal_error"},
    "table-unavailable": {"code": "unavailable"}, "table-quota": {"code": "quota_exceeded"},
    "table-invalid": {"code": "invalid_input"}, "table-malformed": {"code": "malformed_json"},
    "table-too-large": {"code": "body_too_large", "details": {"limit": 1048576}},
    "table-media-type": {"code": "unsupported_media_type"}, "table-conflict": {"code": "conflict"},
    "table-method": {"code": "method_not_allowed"}, "table-upstream": {"code": "upstream_failed"},
    "credential-missing": {"code": "credential_missing"}, "credential-invalid": {"code": "credential_invalid"},
    "message": {"code": "conflict", "message": "Seen before"}, "message-empty": {"code": "conflict", "message": ""},
    "message-unicode": {"code": "bad_request", "message": "Größe „x“ 😀 \u2028 </b>"},
    "message-controls": {"code": "bad_request", "message": "a\nb\0c"},
    "status-replaced": {"code": "internal_error", "status": 504},
    "status-404-of-400": {"code": "bad_request", "status": 404},
    "details-empty": {"code": "invalid_input", "details": {}},
    "details-fields": {"code": "invalid_input", "details": {"limit": "must be a whole number from 1 to 100"}},
    "details-nested": {"code": "invalid_input", "details": {"fields": [{"at": ["body", 0, "a/b"], "message": "no"}]}},
    "details-numeric-keys": {"code": "invalid_input", "details": {"0": "a", "1": "b"}},
    "details-floats": {"code": "invalid_input", "details": {"min": 0.1, "max": 1e21, "zero": -0.0, "one": 1.0}},
    "details-empties": {"code": "invalid_input", "details": {"object": {}, "array": [], "null": None}},
    "details-big": {"code": "invalid_input", "details": {"n": {"$digits": str(2**64)}}},
    "details-hostile": {"code": "invalid_input", "details": {"__proto__": {"a": 1}, "constructor": None, "": ""}},
    "legacy": {"code": "not_found", "legacy": {"ok": False, "msg": "gone/away", "rows": []}},
    "legacy-numeric": {"code": "not_found", "legacy": {"0": False, "1": {}}},
    "legacy-and-details": {"code": "conflict", "message": "m", "details": {"a": 1}, "legacy": {"old": 1.0}},
    "legacy-clash-title": {"code": "not_found", "legacy": {"title": "mine"}},
    "legacy-clash-status": {"code": "not_found", "legacy": {"status": "ok"}},
    "legacy-clash-error": {"code": "not_found", "legacy": {"error": "old text"}},
    "legacy-clash-instance": {"code": "not_found", "legacy": {"a": 1, "instance": "/"}},
    "unknown-code": {"code": "no_such_code"},
    "path-plain": {"code": "not_found", "target": "/api/nope.php"},
    "path-query-left-out": {"code": "not_found", "target": "/api/nope.php?token=secret"},
    "path-unicode": {"code": "not_found", "target": "/api/caf%C3%A9/%F0%9F%98%80"},
    "path-spaces": {"code": "not_found", "target": "/api/a%20b%22%3Cc%3E"},
    "path-double-slash": {"code": "not_found", "target": "//evil.example/x"},
    "path-encoded-slash": {"code": "not_found", "target": "/a%2Fb%3Fc%23d"},
    "path-percent": {"code": "not_found", "target": "/a%2520b"},
    "path-safe": {"code": "not_found", "target": "/a:b@c!d$e&f'g(h)i*j+k,l;m=n~o_p-q.r"},
    "path-brackets": {"code": "not_found", "target": "/a%5Bb%5D%7Bc%7D%7Cd%5Ee%60f%5Cg"},
    "path-long": {"code": "not_found", "target": "/" + "x" * 3000},
    "path-long-unicode": {"code": "not_found", "target": "/" + "%C3%A9" * 1100},
}  # fmt: skip

LEGACY: dict[str, dict[str, Any]] = {
    "one-field": {"rows": [1, 2]}, "order": {"z": 1, "a": 2}, "numeric": {"0": "a", "1": "b"}, "empty-name": {"": 0},
    "proto": {"__proto__": {"admin": True}}, "empties": {"object": {}, "array": []}, "float": {"total": 12.0},
    "problem-names": {"status": "ok", "title": "t", "type": 1, "detail": None, "instance": "x"},
    "unicode": {"größe": "ß/\u2028"}, "case-differs": {"Success": 1, "traceID": 2, "DATA": 3},
    "clash-success": {"success": 0}, "clash-trace": {"traceId": "x"}, "clash-data": {"a": 1, "data": []},
    "clash-error": {"error": None},
}  # fmt: skip

TRACE = "0123456789abcdef0123456789abcdef"
CALLERS: dict[str, dict[str, Any]] = {
    "trace-sampled": {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
    "trace-later-version": {"traceparent": f"cc-{'c' * 32}-{'d' * 16}-01-more"},
    "https": {"https": True}, "status-201": {"status": 201}, "status-202": {"status": 202},
    "not-private": {"target": "/x"},
    "private": {"target": "/api/x?y=1"},
}  # fmt: skip

GROUPS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "numbers": [(name, "success", {"data": value}) for name, value in NUMBERS.items()],
    "texts": [(name, "success", {"data": {"text": text}}) for name, text in TEXTS.items()],
    "keys": [(name, "success", {"data": {key: 1}}) for name, key in KEYS.items()],
    "shapes": [(name, "success", {"data": value}) for name, value in SHAPES.items()],
    "legacy": [(name, "success", {"data": {"a": 1}, "legacy": legacy}) for name, legacy in LEGACY.items()],
    "callers": [(name, "success", {"data": {}, **caller}) for name, caller in CALLERS.items()],
    "errors": [(name, "error", arguments) for name, arguments in ERRORS.items()],
}

SHOWN_HEADERS = ("content-type", "x-trace-id", "cache-control", "www-authenticate", "strict-transport-security")


def main() -> None:
    """Write every group anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for group, calls in GROUPS.items():
        vectors = []
        for name, call, arguments in calls:
            arguments = {"traceparent": f"00-{TRACE}-{'1' * 16}-00", **arguments}
            status, headers, body = answer_of(call, arguments)
            vectors.append(
                {
                    "name": f"{group}-{name}",
                    "call": call,
                    "arguments": arguments,
                    "expected_status": status,
                    "expected_headers": {header: headers[header] for header in SHOWN_HEADERS if header in headers},
                    "expected_body": body.decode(),
                }
            )
        text = json.dumps(vectors, indent=1, ensure_ascii=True)
        (FOLDER / f"{group}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
