"""The token routes end to end, with a renderer of the tests' own: origin, caller, body, quota, in that order."""

import json
import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from openai.types.realtime import ClientSecretCreateResponse, RealtimeSessionCreateResponse

from tests.security.rig import NOW, ORIGIN, World
from voxgate_core import Answer, ConfigurationError, Environment, Leash, VoxgateError
from voxgate_security import (
    ApiKeyAuthenticator,
    ApiKeys,
    Authenticators,
    Caller,
    CorsMiddleware,
    IssuanceQuotas,
    MissingOrigin,
    OriginPolicy,
    Role,
    TokenService,
    create_router,
    new_key,
)

OTHER = "https://admin.example.com"
ISSUER_KEY, ISSUER_STORED = new_key("backend", "issuer")
OPERATOR_KEY, OPERATOR_STORED = new_key("ops", "operator")
TOKEN = "/api/realtime/token"
SECRETS = "/v1/realtime/client_secrets"
REVOKE = "/api/realtime/revoke"
ISSUER = {"Authorization": f"Bearer {ISSUER_KEY}"}
OPERATOR = {"Authorization": f"Bearer {OPERATOR_KEY}"}
USER = {"Authorization": "Bearer user"}


class Users:
    """Knows one end user, as an identity provider would."""

    async def authenticate(self, credential: str) -> Caller | None:
        return Caller("user-1", Role.USER, "oidc", "oidc:x") if credential == "user" else None


def respond(answer: Answer) -> Response:
    content = answer.data if answer.bare else {"success": True, "data": answer.data, **answer.legacy}
    return JSONResponse(content, answer.status, dict(answer.headers))


async def render(_: Request, error: Exception) -> Response:
    assert isinstance(error, VoxgateError)
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = f"{error.retry_after:g}"
    return JSONResponse({"code": error.code, "details": error.details}, error.kind.status, headers)


class Site:
    """A FastAPI application with the token routes behind the CORS middleware."""

    def __init__(self, *, per_subject: str = "1000/minute", public_url: str | None = None, cors: bool = True) -> None:
        self.world = World()
        policy = OriginPolicy.parse(Environment.PROD, [ORIGIN, OTHER], missing=MissingOrigin.ALLOW_WITH_BEARER)
        self.service = TokenService(
            issuer=self.world.issuer,
            authenticators=Authenticators(
                [ApiKeyAuthenticator(ApiKeys.parse(f"{ISSUER_STORED},{OPERATOR_STORED}")), Users()]
            ),
            origins=policy,
            quotas=IssuanceQuotas(per_subject, store=self.world.store, clock=self.world.clock),
            revocations=self.world.revocations,
            public_url=public_url,
        )
        app = FastAPI()
        app.add_exception_handler(VoxgateError, render)
        app.include_router(create_router(self.service, respond))
        self.app: Any = CorsMiddleware(app, policy) if cors else app

    async def post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://gateway.test") as client:
            if body is None:
                return await client.post(path, headers=headers)
            if isinstance(body, bytes):
                return await client.post(path, content=body, headers=headers)
            return await client.post(path, json=body, headers=headers)


async def test_a_backend_gets_a_token_with_an_empty_request() -> None:
    site = Site()
    answer = await site.post(TOKEN, headers=ISSUER)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["ratelimit"].startswith('"subject";r=999')
    assert answer.headers["vary"] == "Origin"
    body = answer.json()
    data = body["data"]
    assert body["token"] == data["token"]
    assert body["expiresAt"] == data["expiresAt"] == NOW + 300
    assert data["expiresIn"] == 300
    assert data["url"] == "ws://gateway.test/realtime"
    grant = await site.world.verifier.verify(data["token"], origin=None, single_use=True)
    assert (grant.subject, grant.origin) == ("key:backend", None)
    assert (grant.token_id, grant.session_id) == (data["tokenId"], data["sessionId"])


async def test_everything_asked_for_is_in_the_token() -> None:
    site = Site(public_url="https://voice.example.com")
    body = {
        "sub": "alice", "scope": ["realtime", "transcribe"], "ttl": 60, "origin": ORIGIN,
        "leash": {"seconds": 90},
    }  # fmt: skip
    data = (await site.post(TOKEN, body, ISSUER)).json()["data"]
    assert data["expiresIn"] == 60
    assert data["url"] == "wss://voice.example.com/realtime"
    grant = await site.world.verifier.verify(data["token"], origin=ORIGIN, single_use=True)
    assert (grant.subject, grant.origin) == ("alice", ORIGIN)
    assert grant.scope == {"realtime", "transcribe"}
    assert grant.leash == Leash(seconds=90)


async def test_a_page_gets_a_token_bound_to_its_own_origin() -> None:
    site = Site()
    data = (await site.post(TOKEN, headers={**USER, "Origin": ORIGIN})).json()["data"]
    with pytest.raises(VoxgateError, match="token_wrong_origin"):
        await site.world.verifier.verify(data["token"], origin=OTHER, single_use=True)
    grant = await site.world.verifier.verify(data["token"], origin=ORIGIN, single_use=True)
    assert grant.subject == "user-1"


async def test_an_end_user_gets_tokens_for_itself_only() -> None:
    site = Site()
    assert (await site.post(TOKEN, {"sub": "user-1"}, USER)).status_code == 200
    refused = await site.post(TOKEN, {"sub": "alice"}, USER)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_refused")
    other = await site.post(TOKEN, {"origin": OTHER}, {**USER, "Origin": ORIGIN})
    assert (other.status_code, other.json()["code"]) == (403, "origin_refused")
    assert (await site.post(TOKEN, {"origin": ORIGIN}, {**USER, "Origin": ORIGIN})).status_code == 200
    assert (await site.post(TOKEN, {"origin": OTHER}, {**ISSUER, "Origin": ORIGIN})).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}/", "https://é.example"])
async def test_a_token_is_not_bound_to_an_origin_that_is_not_admitted(origin: str) -> None:
    refused = await Site().post(TOKEN, {"origin": origin}, ISSUER)
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_refused")


async def test_the_order_is_origin_then_caller_then_body_then_quota() -> None:
    site = Site(per_subject="1/minute")
    evil = {"Origin": "https://evil.example"}
    with pytest.raises(VoxgateError, match="origin_refused"):
        await site.post(TOKEN, b"{", evil)
    missing = await site.post(TOKEN, b"{")
    assert (missing.status_code, missing.headers["www-authenticate"]) == (401, 'Bearer realm="voxgate"')
    wrong = await site.post(TOKEN, b"{", {"Authorization": "Bearer vk_no"})
    assert wrong.status_code == 401
    assert wrong.headers["www-authenticate"].endswith('error="invalid_token"')
    json_type = {**ISSUER, "Content-Type": "application/json"}
    for _ in range(3):
        assert (await site.post(TOKEN, b"{", json_type)).status_code == 400
    assert (await site.post(TOKEN, headers=ISSUER)).status_code == 200
    limited = await site.post(TOKEN, headers=ISSUER)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "60")
    assert limited.headers["ratelimit-policy"] == '"subject";q=1;w=60, "address";q=300;w=60'


async def test_without_the_middleware_the_routes_judge_the_origin_themselves() -> None:
    site = Site(cors=False)
    refused = await site.post(TOKEN, headers={**ISSUER, "Origin": "https://evil.example"})
    assert (refused.status_code, refused.json()["code"]) == (403, "origin_refused")
    assert (await site.post(TOKEN, headers={**ISSUER, "Origin": ORIGIN})).status_code == 200


@pytest.mark.parametrize("path", [TOKEN, SECRETS, REVOKE])
@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{", "application/json", 400, "malformed_json"),
        (b"\xff", "application/json", 400, "malformed_json"),
        (b'{"x":1}', "application/json", 422, "invalid_input"),
        (b"[]", "application/json", 422, "invalid_input"),
        (b" " * 70_000, "application/json", 413, "body_too_large"),
    ],
)
async def test_bad_bodies_are_refused_in_the_same_way_everywhere(
    path: str, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = await Site().post(path, body, {**OPERATOR, "Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_subject_no_token_can_carry_is_named() -> None:
    answer = await Site().post(TOKEN, {"sub": "a\nb"}, ISSUER)
    assert (answer.status_code, list(answer.json()["details"])) == (422, ["sub"])


async def test_settings_too_large_for_a_token_are_named() -> None:
    answer = await Site().post(SECRETS, {"session": {"type": "realtime", "instructions": "x" * 9000}}, ISSUER)
    assert (answer.status_code, answer.json()["details"]) == (422, {"leash": "too large to ride in a token"})


async def test_a_request_with_a_false_host_gets_no_url() -> None:
    answer = await Site().post(TOKEN, headers={**ISSUER, "Host": "evil.example/x?"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_a_client_secret_has_the_shape_openai_gives_it() -> None:
    site = Site()
    session = {
        "type": "realtime", "model": "gpt-realtime-2.1", "instructions": "Be brief.", "output_modalities": ["audio"],
        "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"voice": "marin"}},
    }  # fmt: skip
    asked = {"expires_after": {"anchor": "created_at", "seconds": 120}, "session": session}
    answer = await site.post(SECRETS, asked, {**ISSUER, "Origin": ORIGIN})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"value", "expires_at", "session"}
    made = ClientSecretCreateResponse.model_validate(body, strict=True)
    assert isinstance(made.session, RealtimeSessionCreateResponse)
    assert made.session.model == "gpt-realtime-2.1"
    assert made.expires_at == NOW + 120
    assert made.value.startswith("ek_")
    grant = await site.world.verifier.verify(made.value, origin=ORIGIN, single_use=False)
    assert grant.leash.session == session
    assert grant.session_id == made.session.id
    assert grant.subject == "key:backend"


@pytest.mark.parametrize(("seconds", "life"), [(10, 10), (300, 300), (600, 300), (7200, 300)])
async def test_a_client_secret_lives_at_most_as_long_as_the_environment_allows(seconds: int, life: int) -> None:
    body = (await Site().post(SECRETS, {"expires_after": {"seconds": seconds}}, ISSUER)).json()
    assert body["expires_at"] == NOW + life


async def test_a_client_secret_can_be_had_with_an_empty_request() -> None:
    body = (await Site().post(SECRETS, headers=ISSUER)).json()
    ClientSecretCreateResponse.model_validate(body, strict=True)
    assert body["session"]["type"] == "realtime"


async def test_an_operator_revokes_a_token_a_session_and_a_subject() -> None:
    site = Site()
    for field, key in (("jti", "tokenId"), ("sessionId", "sessionId"), ("sub", None)):
        data = (await site.post(TOKEN, {"sub": "alice"}, ISSUER)).json()["data"]
        await site.world.verifier.verify(data["token"], origin=None, single_use=False)
        value = "alice" if key is None else data[key]
        answer = await site.post(REVOKE, {field: value}, OPERATOR)
        assert answer.status_code == 200
        assert answer.json()["data"] == {"revoked": {field: value}, "revokedAt": NOW}
        with pytest.raises(VoxgateError, match="token_revoked"):
            await site.world.verifier.verify(data["token"], origin=None, single_use=False)


@pytest.mark.parametrize("headers", [ISSUER, USER])
async def test_only_an_operator_may_revoke(headers: dict[str, str]) -> None:
    answer = await Site().post(REVOKE, {"sub": "alice"}, headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "role_refused")


@pytest.mark.parametrize(
    "body", [None, {}, {"jti": "a", "sub": "b"}, {"jti": "a b"}, {"sessionId": "../x"}, {"sid": "x"}]
)
async def test_a_revocation_names_exactly_one_thing(body: object) -> None:
    answer = await Site().post(REVOKE, body, OPERATOR)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_a_wrong_public_url_is_a_fault_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="VOXGATE_PUBLIC_URL"):
        Site(public_url="voice.example.com")


async def test_logs_name_the_caller_and_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    with caplog.at_level(logging.DEBUG):
        token = (await site.post(TOKEN, {"sub": "alice"}, ISSUER)).json()["token"]
        await site.post(SECRETS, headers=ISSUER)
        await site.post(TOKEN, headers={"Authorization": "Bearer vk_wrong-but-secret"})
        await site.post(REVOKE, {"sub": "alice"}, OPERATOR)
    written = json.dumps([record.__dict__ for record in caplog.records], default=str)
    assert "token issued" in written
    assert f"backend {ISSUER_KEY[:8]}" in written
    for secret in (token, ISSUER_KEY, OPERATOR_KEY, "vk_wrong-but-secret"):
        assert secret not in written
