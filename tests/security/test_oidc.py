"""Access tokens of an identity provider, against a real one on loopback that can be made to fail."""

import asyncio
import json
import logging
import socket
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.security.rig import NOW
from voxgate_core import ConfigurationError, ManualClock, VoxgateError
from voxgate_security import Authenticators, OidcAuthenticator, Role

ISSUER = "https://id.example.com"
AUDIENCE = "voxgate-api"
RSA_KEY = rsa.generate_private_key(65537, 2048)
WEAK_KEY = rsa.generate_private_key(65537, 1024)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
SHARED = "a-shared-secret-that-should-never-be-in-a-key-set"
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "iat": NOW - 10, "exp": NOW + 600}


def jwk(key: Any, kid: str, **more: str) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


KEY_SET = {
    "keys": [
        jwk(RSA_KEY, "rsa", alg="RS256"),
        jwk(EC_KEY, "ec"),
        jwk(WEAK_KEY, "weak", alg="RS256"),
        {"kty": "oct", "k": jwt.utils.base64url_encode(SHARED.encode()).decode(), "kid": "shared", "use": "sig"},
    ]
}


class Provider(ThreadingHTTPServer):
    """Serves a key set on loopback, and counts who asks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = json.dumps(KEY_SET).encode()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.release = threading.Event()
        self.release.set()
        self.started = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/jwks"


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.started.set()
        self.server.release.wait(10)
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        try:
            self.wfile.write(self.server.body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def oidc(provider: Provider, clock: ManualClock) -> OidcAuthenticator:
    return OidcAuthenticator(ISSUER, AUDIENCE, provider.url, clock=clock, timeout=2, allow_http_loopback=True)


def token(claims: dict[str, Any] = CLAIMS, key: Any = RSA_KEY, alg: str = "RS256", **header: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)  # a weak key is one of the cases
        return jwt.encode(claims, key, alg, headers={"kid": "rsa", **header})


async def refused(oidc: OidcAuthenticator, credential: str) -> str:
    with pytest.raises(VoxgateError) as caught:
        await oidc.authenticate(credential)
    assert credential not in f"{caught.value} {caught.value.details}"
    return caught.value.code


async def test_a_good_token_is_a_user(oidc: OidcAuthenticator) -> None:
    caller = await Authenticators([oidc]).authenticate([b"Bearer " + token().encode()])
    assert (caller.subject, caller.role, caller.kind) == ("user-1", Role.USER, "oidc")
    assert "user-1" not in caller.label
    assert await oidc.authenticate(token(key=EC_KEY, alg="ES256", kid="ec", typ="at+jwt"))
    assert await oidc.authenticate(token({**CLAIMS, "aud": [AUDIENCE, "other"], "nbf": NOW}))
    assert await oidc.authenticate(token({**CLAIMS, "iat": NOW + 29, "exp": NOW + 100}))


async def test_what_is_no_jwt_is_left_to_others(oidc: OidcAuthenticator, provider: Provider) -> None:
    assert await oidc.authenticate("vk_something") is None
    assert await oidc.authenticate("a.b") is None
    assert provider.asked == 0


@pytest.mark.parametrize(
    "credential",
    [
        "a.b.c",
        "..",
        token({**CLAIMS, "iss": "https://other.example"}),
        token({**CLAIMS, "aud": "other"}),
        token({**CLAIMS, "exp": NOW - 30}),
        token({**CLAIMS, "iat": NOW + 31}),
        token({**CLAIMS, "nbf": NOW + 31}),
        token({**CLAIMS, "exp": True}),
        token({**CLAIMS, "exp": "never"}),
        token({**CLAIMS, "iat": float("nan")}),
        token({**CLAIMS, "sub": ""}),
        token({**CLAIMS, "sub": "a\nb"}),
        token({**CLAIMS, "sub": "x" * 257}),
        *(token({key: value for key, value in CLAIMS.items() if key != name}) for name in CLAIMS),
        token(typ="vg-rt+jwt"),
        token(typ="secevent+jwt"),
        token(typ=7),
        token(typ=["jwt"]),
        token(typ={"jwt": 1}),
        token({**CLAIMS, "sub": "key:web"}),
        token(crit=["exp"]),
        token(kid="ec"),
        token(key=EC_KEY, alg="ES256"),
        token(key=WEAK_KEY, kid="weak"),
        token(key=SHARED, alg="HS256", kid="shared"),
        token(key=SHARED, alg="HS256"),
        token()[:-4] + "AAAA",
        jwt.encode(CLAIMS, "", "none", headers={"kid": "rsa"}),
        jwt.encode(CLAIMS, RSA_KEY, "RS256"),
        token(kid="nobody"),
    ],
)
async def test_a_wrong_token_is_invalid(oidc: OidcAuthenticator, credential: str) -> None:
    assert await refused(oidc, credential) == "credential_invalid"


async def test_keys_are_fetched_once_for_many_callers(oidc: OidcAuthenticator, provider: Provider) -> None:
    provider.release.clear()
    callers = [asyncio.create_task(oidc.authenticate(token())) for _ in range(20)]
    assert await asyncio.to_thread(provider.started.wait, 10)
    provider.release.set()
    assert all(await asyncio.gather(*callers))
    assert provider.asked == 1


async def test_an_unknown_key_id_fetches_once_per_cooldown(
    oidc: OidcAuthenticator, provider: Provider, clock: ManualClock
) -> None:
    await oidc.authenticate(token())
    for number in range(10):
        assert await refused(oidc, token(kid=f"k{number}")) == "credential_invalid"
    assert provider.asked == 1
    new_key = ec.generate_private_key(ec.SECP256R1())
    provider.body = json.dumps({"keys": [jwk(new_key, "new"), *KEY_SET["keys"]]}).encode()
    clock.advance(30)
    assert await oidc.authenticate(token(key=new_key, alg="ES256", kid="new"))
    assert provider.asked == 2


async def test_keys_are_fetched_anew_when_old_and_a_withdrawn_one_is_forgotten(
    oidc: OidcAuthenticator, provider: Provider, clock: ManualClock
) -> None:
    await oidc.authenticate(token())
    provider.body = json.dumps({"keys": [jwk(EC_KEY, "ec")]}).encode()
    clock.advance(299)
    assert await oidc.authenticate(token())
    clock.advance(2)
    assert await refused(oidc, token()) == "credential_invalid"


async def test_known_keys_work_on_while_the_provider_is_away_but_not_for_ever(
    oidc: OidcAuthenticator, provider: Provider, clock: ManualClock
) -> None:
    await oidc.authenticate(token({**CLAIMS, "exp": NOW + 9000}))
    provider.status = 500
    clock.advance(3000)
    assert await oidc.authenticate(token({**CLAIMS, "exp": NOW + 9000}))
    clock.advance(700)
    assert await refused(oidc, token({**CLAIMS, "exp": NOW + 9000})) == "unavailable"


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (500, b"", {}),
        (404, b"{}", {}),
        (200, b"not json", {}),
        (200, b"[]", {}),
        (200, b'{"keys":[]}', {}),
        (200, b'{"keys":"x"}', {}),
        (200, b"[" * 5000, {}),
        (200, b"\xff\xfe", {}),
        (200, b" " * 300_000, {}),
        (302, b"", {"Location": "https://evil.example/jwks"}),
    ],
)
async def test_a_provider_that_fails_is_unavailable_and_asked_again_after_the_cooldown(
    oidc: OidcAuthenticator,
    provider: Provider,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: bytes,
    headers: dict[str, str],
) -> None:
    provider.status, provider.body, provider.headers = status, body, headers
    for _ in range(3):
        with pytest.raises(VoxgateError) as caught:
            await oidc.authenticate(token())
        assert (caught.value.code, caught.value.retry_after) == ("unavailable", 30)
    assert provider.asked == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    provider.status, provider.body, provider.headers = 200, json.dumps(KEY_SET).encode(), {}
    clock.advance(30)
    assert await oidc.authenticate(token())


async def test_a_provider_that_does_not_answer_is_given_up(provider: Provider, clock: ManualClock) -> None:
    provider.release.clear()
    oidc = OidcAuthenticator(ISSUER, AUDIENCE, provider.url, clock=clock, timeout=0.05, allow_http_loopback=True)
    assert await refused(oidc, token()) == "unavailable"


async def test_nobody_listening_is_unavailable(clock: ManualClock) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound, so that nobody else is there, and not listening
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/jwks"
        oidc = OidcAuthenticator(ISSUER, AUDIENCE, url, clock=clock, timeout=1)
        assert await refused(oidc, token()) == "unavailable"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://id.example.com/jwks",
        "http://127.0.0.1/jwks",
        "ftp://id.example.com",
        "file:///etc/passwd",
        "https://",
    ]
    + ["https://u:p@id.example.com", "https://id.example.com/#x", "https://id.example.com:port", "//id.example.com"],
)
def test_only_https_is_fetched_from(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        OidcAuthenticator(ISSUER, AUDIENCE, url)


def test_http_is_for_loopback_in_development_only() -> None:
    for host in ("localhost", "127.0.0.1", "[::1]"):
        OidcAuthenticator(ISSUER, AUDIENCE, f"http://{host}/jwks", allow_http_loopback=True)
    for host in ("id.example.com", "10.0.0.1", "127.0.0.1.evil.example"):
        with pytest.raises(ConfigurationError):
            OidcAuthenticator(ISSUER, AUDIENCE, f"http://{host}/jwks", allow_http_loopback=True)


def test_every_fault_of_the_setup_is_listed() -> None:
    with pytest.raises(ConfigurationError) as caught:
        OidcAuthenticator("", "", "http://x", algorithms=("HS256", "none"))
    assert len(caught.value.faults) == 4
    with pytest.raises(ConfigurationError, match="no algorithm"):
        OidcAuthenticator(ISSUER, AUDIENCE, "https://id.example.com/jwks", algorithms=())
    assert ISSUER in repr(OidcAuthenticator(ISSUER, AUDIENCE, "https://id.example.com/jwks"))
