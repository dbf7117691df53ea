"""Tokens that must never be accepted, by family, and for each family the same maker left alone, which must be.

Every token is signed with the right key where a wrong signature is not the point: what is refused is refused for what
it says.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.security.rig import (
    CLAIMS,
    ED,
    ED_PUBLIC_PEM,
    ED_PUBLIC_RAW,
    HEADER,
    NOW,
    ORIGIN,
    REPLACED_SECRET,
    RETIRED_AT,
    RETIRED_SECRET,
    SECRET,
    TTL,
    b64,
    doubled,
    dump,
    hs256,
    sign,
    sign_raw,
    without,
)

__all__ = ["CONTROLS", "HOSTILE", "Hostile"]

PAYLOAD = dump(CLAIMS)
GOOD = sign()
HEAD, BODY, SIGNATURE = GOOD.split(".")


class Hostile(NamedTuple):
    """``before`` names what happens to the good token first: it is ``spent``, or revoked by ``jti``, ``sub``, ``sid``."""

    family: str
    id: str
    token: str
    origin: str | None = ORIGIN
    before: str = ""


def _ed(claims: dict[str, object] = CLAIMS) -> str:
    signing_input = f"{b64(dump({**HEADER, 'alg': 'EdDSA', 'kid': 'ed'}))}.{b64(dump(claims))}"
    return f"{signing_input}.{b64(ED.sign(signing_input.encode()))}"


def _algorithm() -> Iterator[tuple[str, str]]:
    for alg in ("none", "None", "NONE", "nOnE", "", " ", "hs256", "Hs256", "HS256 ", "HS1", "Ed25519", "dir", "RSA1_5"):
        yield f"alg {alg!r}", sign({**HEADER, "alg": alg})
        unsigned = f"{b64(dump({**HEADER, 'alg': alg}))}.{BODY}."
        yield f"alg {alg!r}, no signature", unsigned
    for value in (None, 0, True, ["HS256"], {"alg": "HS256"}):
        yield f"alg {value!r}", sign({**HEADER, "alg": value})
    for alg, digest in (("HS384", "sha384"), ("HS512", "sha512")):
        signing_input = f"{b64(dump({**HEADER, 'alg': alg}))}.{BODY}"
        yield f"{alg} with the right secret", f"{signing_input}.{b64(hs256(SECRET, signing_input, digest))}"
    ed_header = {**HEADER, "kid": "ed"}
    yield "public PEM of an EdDSA key as HS256 secret", sign(ed_header, CLAIMS, ED_PUBLIC_PEM)
    yield "public PEM without its last newline as secret", sign(ed_header, CLAIMS, ED_PUBLIC_PEM.strip())
    yield "public bytes as HS256 secret", sign(ed_header, CLAIMS, ED_PUBLIC_RAW)
    yield "HS256 named for the EdDSA key", sign(ed_header)
    yield "EdDSA named for the HS256 key", _ed().replace(_ed().split(".")[0], b64(dump({**HEADER, "alg": "EdDSA"})))
    signing_input = f"{b64(dump({**HEADER, 'alg': 'EdDSA'}))}.{BODY}"
    yield "EdDSA signature under the HS256 key", f"{signing_input}.{b64(ED.sign(signing_input.encode()))}"
    rsa_key = rsa.generate_private_key(65537, 2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    headers = {"kid": "main", "typ": "vg-rt+jwt"}
    yield "RS256 of a stranger", jwt.encode(dict(CLAIMS), rsa_key, "RS256", headers=headers)
    yield "PS256 of a stranger", jwt.encode(dict(CLAIMS), rsa_key, "PS256", headers=headers)
    yield "ES256 of a stranger", jwt.encode(dict(CLAIMS), ec_key, "ES256", headers=headers)


def _signature() -> Iterator[tuple[str, str]]:
    raw = hs256(SECRET, f"{HEAD}.{BODY}")
    yield "empty", f"{HEAD}.{BODY}."
    yield "no last dot", f"{HEAD}.{BODY}"
    for size in (1, 8, 16, 30, 31):
        yield f"cut to {size} bytes", f"{HEAD}.{BODY}.{b64(raw[:size])}"
    for position in (0, 15, 31):
        flipped = bytearray(raw)
        flipped[position] ^= 1
        yield f"bit flipped in byte {position}", f"{HEAD}.{BODY}.{b64(bytes(flipped))}"
    yield "all zero", f"{HEAD}.{BODY}.{b64(bytes(32))}"
    yield "one byte more", f"{HEAD}.{BODY}.{b64(raw + b'x')}"
    yield "twice", f"{HEAD}.{BODY}.{b64(raw + raw)}"
    yield "hexadecimal", f"{HEAD}.{BODY}.{b64(raw.hex().encode())}"
    yield "padded", f"{GOOD}="
    yield "padded twice", f"{GOOD}=="
    spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = spare[spare.index(GOOD[-1]) ^ 1]
    yield "spare bits set", GOOD[:-1] + last
    yield "another secret", sign(secret=SECRET[::-1])
    yield "empty secret", sign(secret=b"")
    yield "null byte as secret", sign(secret=b"\0")
    other = sign(claims={**CLAIMS, "sub": "bob"})
    yield "of another token", f"{HEAD}.{BODY}.{other.rpartition('.')[2]}"
    yield "payload changed after signing", f"{HEAD}.{b64(dump({**CLAIMS, 'sub': 'root'}))}.{SIGNATURE}"
    yield "header changed after signing", f"{b64(dump({**HEADER, 'kid': 'replaced'}))}.{BODY}.{SIGNATURE}"
    ed = _ed()
    yield "EdDSA cut", ed[:-2]
    yield "EdDSA all zero", f"{ed.rpartition('.')[0]}.{b64(bytes(64))}"


def _shape() -> Iterator[tuple[str, str]]:
    yield "empty", ""
    yield "word", "token"
    yield "prefix alone", "ek_"
    yield "one segment", HEAD
    yield "two segments", f"{HEAD}.{BODY}"
    yield "four segments", f"{GOOD}.{SIGNATURE}"
    yield "five segments", f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{SIGNATURE}"
    yield "only dots", ".."
    yield "many dots", "." * 4096
    yield "empty header", f".{BODY}.{SIGNATURE}"
    yield "empty payload", f"{HEAD}..{SIGNATURE}"
    yield "leading dot", f".{GOOD}"
    yield "trailing dot", f"{GOOD}."
    for name, text in (("space", " "), ("tab", "\t"), ("line feed", "\n"), ("NUL", "\0"), ("no-break space", "\u00a0")):
        yield f"{name} before", text + GOOD
        yield f"{name} after", GOOD + text
        yield f"{name} inside", f"{HEAD}.{BODY[:9]}{text}{BODY[9:]}.{SIGNATURE}"
    yield "prefix twice", f"ek_ek_{GOOD}"
    yield "prefix in upper case", f"EK_{GOOD}"
    yield "scheme kept", f"Bearer {GOOD}"
    yield "quoted", f'"{GOOD}"'
    yield "padded header", f"{HEAD}=.{BODY}.{SIGNATURE}"
    yield "padded payload", f"{HEAD}.{BODY}=.{SIGNATURE}"
    plus = sign(claims={**CLAIMS, "sub": "a\u043f\u043f\u043e?>~~~???>>>"}).replace("-", "+").replace("_", "/")
    yield "standard base64 alphabet", plus if plus.count("+") + plus.count("/") else f"{HEAD}.+/{BODY}.{SIGNATURE}"
    yield "one base64 character", f"{HEAD}.A.{SIGNATURE}"
    yield "full-width characters", GOOD.replace("e", "\uff45", 1)
    yield "Cyrillic dot look-alike", GOOD.replace(".", "\u3002")
    yield "lone surrogate", GOOD + "\ud800"
    yield "JSON serialisation", dump({"protected": HEAD, "payload": BODY, "signature": SIGNATURE}).decode()
    yield "upper-cased", GOOD.upper()
    yield "percent-encoded dots", GOOD.replace(".", "%2E")
    yield "over the bound", sign(claims={**CLAIMS, "leash": {"session": {"instructions": "x" * 8192}}})
    yield "a megabyte of header", f"{b64(b'{' + b' ' * 1_000_000)}.{BODY}.{SIGNATURE}"


def _header() -> Iterator[tuple[str, str]]:
    for name in HEADER:
        yield f"no {name}", sign(without(HEADER, name))
        yield f"{name} twice", sign_raw(doubled(HEADER, name, HEADER[name]), PAYLOAD)
        yield f"{name} twice, another first", sign_raw(b'{"%s":"x",%s' % (name.encode(), dump(HEADER)[1:]), PAYLOAD)
    jwk = {"kty": "oct", "k": b64(SECRET.encode())}
    extras: dict[str, object] = {
        "crit": ["exp"], "jwk": jwk, "jku": "https://evil.example/jwks.json", "x5u": "https://evil.example/cert.pem",
        "x5c": ["MIIB"], "x5t": "AAAA", "x5t#S256": "AAAA", "b64": True, "zip": "DEF", "cty": "JWT", "enc": "A256GCM",
        "epk": {}, "nonce": "x", "iss": "voxgate", "ALG": "none", "alg ": "none", "": "",
    }  # fmt: skip
    for name, value in extras.items():
        yield f"extra {name!r}", sign({**HEADER, name: value})
    yield "empty crit", sign({**HEADER, "crit": []})
    yield "b64 false, and critical", sign({**HEADER, "b64": False, "crit": ["b64"]})
    for typ in ("JWT", "jwt", "at+jwt", "VG-RT+JWT", "vg-rt+jwt ", "application/vg-rt+jwt", "", None, 1, ["vg-rt+jwt"]):
        yield f"typ {typ!r}", sign({**HEADER, "typ": typ})
    for kid in (
        "",
        "other",
        "MAIN",
        "main ",
        "../main",
        "/dev/null",
        "main' OR '1'='1",
        "main\0",
        "m\u0430in",
        "k" * 65,
    ):
        yield f"kid {kid[:16]!r}", sign({**HEADER, "kid": kid})
    for value in (None, 1, True, ["main"], {"kid": "main"}):
        yield f"kid {value!r}", sign({**HEADER, "kid": value})
    good = dump(HEADER)
    for name, raw in (
        ("array", b"[]"), ("string", b'"HS256"'), ("null", b"null"), ("number", b"1"), ("nothing", b" "),
        ("byte order mark", b"\xef\xbb\xbf" + good), ("invalid UTF-8", good.replace(b"main", b"m\xff\xfein")),
        ("UTF-16", dump(HEADER).decode().encode("utf-16")), ("trailing garbage", good + b"x"), ("two objects", good * 2),
        ("cut off", good[:-1]), ("single quotes", good.replace(b'"', b"'")), ("comment", b"/**/" + good),
    ):  # fmt: skip
        yield f"header is {name}", sign_raw(raw, PAYLOAD)


def _time() -> Iterator[tuple[str, str]]:
    wrong: tuple[object, ...] = (
        "1790000100", f"{NOW}", "", float(NOW), NOW + 0.5, True, None, -1, 0, -NOW, 10**12, 2**63, 10**400,
        [NOW], {"t": NOW}, float("nan"), float("inf"), float("-inf"),
    )  # fmt: skip
    for name in ("iat", "nbf", "exp"):
        for value in wrong:
            yield f"{name} {str(value)[:20]!r} ({type(value).__name__})", sign(claims={**CLAIMS, name: value})
        raw = PAYLOAD.replace(dump({name: CLAIMS[name]})[1:-1], b'"%s":1e999' % name.encode())
        yield f"{name} 1e999", sign_raw(dump(HEADER), raw)
    yield "expired a second ago", sign(claims={**CLAIMS, "exp": NOW - 1})
    yield "expires now", sign(claims={**CLAIMS, "exp": NOW})
    yield "expired long ago", sign(claims={**CLAIMS, "iat": 1000, "nbf": 1000, "exp": 1200})
    yield "issued in a second", sign(claims={**CLAIMS, "iat": NOW + 1, "nbf": NOW + 1})
    yield "issued in the future, valid already", sign(claims={**CLAIMS, "iat": NOW + 60})
    yield "valid in a second", sign(claims={**CLAIMS, "nbf": NOW + 1})
    yield "valid before it was issued", sign(claims={**CLAIMS, "nbf": NOW - 11})
    yield "valid when expired", sign(claims={**CLAIMS, "nbf": NOW + 200})
    yield "expires before it was issued", sign(claims={**CLAIMS, "exp": NOW - 20})
    yield "lives a second too long", sign(claims={**CLAIMS, "iat": NOW, "nbf": NOW, "exp": NOW + TTL + 1})
    yield "lives ten years", sign(claims={**CLAIMS, "exp": NOW + 315_360_000})
    yield "lives as long as dev allows", sign(claims={**CLAIMS, "exp": NOW + 590})


def _claims() -> Iterator[tuple[str, str]]:
    for name in CLAIMS:
        yield f"no {name}", sign(claims=without(CLAIMS, name))
        yield f"{name} twice", sign_raw(dump(HEADER), doubled(CLAIMS, name, CLAIMS[name]))
        yield f"{name} twice, another first", sign_raw(dump(HEADER), b'{"%s":0,%s' % (name.encode(), PAYLOAD[1:]))
    for name in ("iss", "aud", "sub", "sid", "jti", "scope"):
        wrong: tuple[object, ...] = (None, 1, True, [], [CLAIMS[name]], {}, "")
        for value in wrong:
            yield f"{name} {value!r}", sign(claims={**CLAIMS, name: value})
    origins: tuple[object, ...] = (1, False, [ORIGIN], {}, "", "x" * 268, "https://\u00e9.example")
    for origin in origins:
        yield f"origin {str(origin)[:12]!r} ({type(origin).__name__})", sign(claims={**CLAIMS, "origin": origin})
    for name in ("admin", "role", "ISS", "iss ", "", "azp", "leash2"):
        yield f"unknown claim {name!r}", sign(claims={**CLAIMS, name: "x"})
    for sub in ("x" * 257, "a\nb", "a\0b", " a", "a ", "\u202egnp", "\u200b", "a\x1b[31m"):
        yield f"sub {sub[:12]!r}", sign(claims={**CLAIMS, "sub": sub})
    for ident in ("x" * 65, "a b", "../x", "a/b", "a\0", "\u00e9"):
        yield f"jti {ident[:12]!r}", sign(claims={**CLAIMS, "jti": ident})
        yield f"sid {ident[:12]!r}", sign(claims={**CLAIMS, "sid": ident})
    for scope in (" ", "a a", "a  b", " a", "a ", "a\tb", "a,b", "x" * 65, " ".join(f"s{n}" for n in range(33))):
        yield f"scope {scope[:12]!r}", sign(claims={**CLAIMS, "scope": scope})
    leashes: tuple[object, ...] = (
        None, [], "x", 1, {"seconds": 0}, {"seconds": -1}, {"seconds": "60"}, {"seconds": 1.5}, {"seconds": True},
        {"seconds": None}, {"tokens": 2**53}, {"tokens": []}, {"spend": -0.01}, {"spend": "1"}, {"spend": True},
        {"spend": float("nan")}, {"spend": float("inf")}, {"session": []}, {"session": None}, {"limit": 1},
    )  # fmt: skip
    for leash in leashes:
        yield f"leash {leash!r}", sign(claims={**CLAIMS, "leash": leash})


def _payload() -> Iterator[tuple[str, str]]:
    head = dump(HEADER)
    for name, raw in (
        ("array", b"[]"), ("array of claims", b"[" + PAYLOAD + b"]"), ("string", dump("claims")), ("null", b"null"),
        ("true", b"true"), ("number", b"1"), ("NaN", b"NaN"), ("space", b" "), ("empty object", b"{}"),
        ("cut off", PAYLOAD[:-1]), ("trailing garbage", PAYLOAD + b"}"), ("two objects", PAYLOAD * 2),
        ("trailing comma", PAYLOAD[:-1] + b",}"), ("single quotes", PAYLOAD.replace(b'"', b"'")),
        ("comment", b"//\n" + PAYLOAD), ("byte order mark", b"\xef\xbb\xbf" + PAYLOAD),
        ("invalid UTF-8", PAYLOAD.replace(b"alice", b"al\xffce")), ("overlong UTF-8", PAYLOAD.replace(b"alice", b"al\xc0\xaf")),
        ("encoded surrogate", PAYLOAD.replace(b"alice", b"al\xed\xa0\x80")), ("UTF-16", PAYLOAD.decode().encode("utf-16")),
        ("high surrogate", PAYLOAD.replace(b"alice", b"al\\ud800")), ("low surrogate", PAYLOAD.replace(b"alice", b"\\udc00e")),
        ("escaped NUL", PAYLOAD.replace(b"alice", b"al\\u0000")), ("raw NUL", PAYLOAD.replace(b"alice", b"al\0")),
        ("raw line feed", PAYLOAD.replace(b"alice", b"al\nce")), ("YAML", b"iss: voxgate"), ("pickle", b"\x80\x04N."),
    ):  # fmt: skip
        yield f"payload is {name}", sign_raw(head, raw)

    def with_session(session: bytes) -> str:
        return sign_raw(head, PAYLOAD[:-1] + b',"leash":{"session":' + session + b"}}")

    for name, session in (
        ("31 arrays", b'{"a":' + b"[" * 31 + b"]" * 31 + b"}"), ("2,000 arrays", b"[" * 2000 + b"]" * 2000),
        ("800 objects", b'{"a":' * 800 + b"1" + b"}" * 800), ("an unclosed array", b"[" * 3000),
        ("a duplicate key", b'{"model":"a","model":"b"}'), ("a duplicate key far in", b'{"a":{"b":{"c":1,"c":1}}}'),
        ("a surrogate", b'{"a":"\\ud83d"}'), ("a surrogate as key", b'{"\\udfff":1}'), ("NaN", b'{"a":NaN}'),
        ("-Infinity", b'{"a":-Infinity}'), ("1e400", b'{"a":1e400}'), ("5,000 digits", b'{"a":' + b"1" * 5000 + b"}"),
    ):  # fmt: skip
        yield f"session holds {name}", with_session(session)
    yield "a megabyte", sign_raw(head, PAYLOAD[:-1] + b',"leash":{"session":{"a":"' + b"x" * 1_000_000 + b'"}}}')


def _context() -> Iterator[Hostile]:
    def case(name: str, token: str = GOOD, origin: str | None = ORIGIN, before: str = "") -> Hostile:
        return Hostile("context", name, token, origin, before)

    for name, value in (
        ("iss", "voxgate2"),
        ("iss", "Voxgate"),
        ("aud", "voxgate"),
        ("aud", "https://api.example.com"),
    ):
        yield case(f"{name} {value}", sign(claims={**CLAIMS, name: value}))
    yield case("aud list", sign(claims={**CLAIMS, "aud": ["voxgate-realtime", "other"]}))
    for origin in (None, "", "null", "https://evil.example", f"{ORIGIN}:8443", f"{ORIGIN}/", ORIGIN.upper()):
        yield case(f"presented from {origin!r}", origin=origin)
    yield case("retired key", sign({**HEADER, "kid": "gone"}, secret=RETIRED_SECRET))
    late = {**CLAIMS, "iat": RETIRED_AT + 1, "nbf": RETIRED_AT + 1}
    yield case("issued after the key retired", sign({**HEADER, "kid": "replaced"}, late, REPLACED_SECRET))
    yield case("unknown key", sign({**HEADER, "kid": "k9"}, secret="x" * 40))
    yield case("another key's name", sign({**HEADER, "kid": "gone"}))
    for before in ("spent", "jti", "sub", "sid"):
        yield case(f"used after: {before}", before=before)
        yield case(f"used with the prefix after: {before}", token=f"ek_{GOOD}", before=before)


_FAMILIES: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "algorithm": _algorithm,
    "signature": _signature,
    "shape": _shape,
    "header": _header,
    "time": _time,
    "claims": _claims,
    "payload": _payload,
}

HOSTILE: list[Hostile] = [
    *(Hostile(family, name, token) for family, cases in _FAMILIES.items() for name, token in cases()),
    *_context(),
]
"""Every hostile token."""

CONTROLS: list[Hostile] = [
    Hostile("algorithm", "HS256", sign()),
    Hostile("algorithm", "EdDSA", _ed()),
    Hostile("signature", "as made", f"{HEAD}.{BODY}.{b64(hs256(SECRET, f'{HEAD}.{BODY}'))}"),
    Hostile("shape", "bare", GOOD),
    Hostile("shape", "with the prefix", f"ek_{GOOD}"),
    Hostile("header", "in another order", sign(dict(reversed(HEADER.items())))),
    Hostile("header", "with white space", sign_raw(dump(HEADER).replace(b",", b" , "), PAYLOAD)),
    Hostile("time", "the longest life", sign(claims={**CLAIMS, "iat": NOW, "nbf": NOW, "exp": NOW + TTL})),
    Hostile("time", "one second left", sign(claims={**CLAIMS, "exp": NOW + 1})),
    Hostile("claims", "every leash", sign(claims={**CLAIMS, "leash": {"seconds": 1, "tokens": 1, "spend": 0.5}})),
    Hostile("claims", "the longest subject", sign(claims={**CLAIMS, "sub": "x" * 256})),
    Hostile("claims", "unbound", sign(claims={**CLAIMS, "origin": None})),
    Hostile("claims", "unbound, from nowhere", sign(claims={**CLAIMS, "origin": None}), None),
    Hostile("payload", "text beyond ASCII", sign(claims={**CLAIMS, "sub": "Zoë 🎙 Ж"})),
    Hostile("payload", "nested to the bound", sign_raw(
        dump(HEADER), PAYLOAD[:-1] + b',"leash":{"session":{"a":' + b"[" * 29 + b"]" * 29 + b"}}}"
    )),
    Hostile("context", "as issued", GOOD),
    Hostile("context", "replaced key, issued in time", sign(
        {**HEADER, "kid": "replaced"}, {**CLAIMS, "iat": RETIRED_AT, "nbf": RETIRED_AT, "exp": RETIRED_AT + TTL},
        REPLACED_SECRET,
    )),
]  # fmt: skip
"""Good tokens by the same makers: were these refused, the refusals above would prove nothing."""
