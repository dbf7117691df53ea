"""The Security gate, first half: who gets a token, from where, and for how long."""

import secrets
from collections.abc import Mapping
from typing import Final, TypeGuard

from voxgate_gates.check import Need, Severity, Suite
from voxgate_gates.condition import ABSENT
from voxgate_gates.credentials import EPHEMERAL_PREFIX, claims_of
from voxgate_gates.probe import Answer, Probe

__all__ = ["BAD_ORIGIN", "REFUSED_ORIGIN", "UNAUTHENTICATED", "suite"]

suite = Suite("security")

BAD_ORIGIN: Final = "https://not-allowed.example"
"""An origin no deployment allows: ``.example`` is reserved (RFC 2606)."""

TOO_LONG: Final = 86_400
"""Seconds of life no environment grants."""

REFUSED_AS_UNFIT: Final = (400, 422)
"""How a server says that it will not have this body; any other refusal says nothing about the life that was asked for."""

NEVER_ISSUED: Final = "a-key-that-was-never-issued"
"""Stands for a wrong key in reports: the command that repeats the request must not put the good one in."""

UNAUTHENTICATED: Final = "[STATUS] == 401 && [HEADER].www-authenticate exists && [ENVELOPE_FAULTS] == []"
REFUSED_ORIGIN: Final = "[STATUS] == 403 && [HEADER].access-control-allow-origin absent && [ENVELOPE_FAULTS] == []"


async def _ask(probe: Probe, *, origin: str | None, bearer: str | None, **body: object) -> Answer:
    return await probe.http("POST", probe.target.routes.token, origin=origin, bearer=bearer, json=body)


@suite.check(
    "token-unauthenticated-401",
    promise="Without a credential nobody gets a token, and the answer says which credential is wanted.",
    condition=UNAUTHENTICATED,
    advice="Check that the token route runs its authenticators before it signs, and sends WWW-Authenticate with 401.",
    severity=Severity.CRITICAL,
    needs=[Need.ORIGIN],
)
async def token_unauthenticated(probe: Probe) -> Mapping[str, object]:
    return (await _ask(probe, origin=probe.target.origin, bearer=None)).facts()


@suite.check(
    "token-wrong-key-401",
    promise="A key that was never issued gets no token.",
    condition=UNAUTHENTICATED,
    advice="Check that keys are looked up by the hash of the whole key, and that an unknown one is refused.",
    severity=Severity.CRITICAL,
    needs=[Need.ORIGIN],
)
async def token_wrong_key(probe: Probe) -> Mapping[str, object]:
    wrong = f"vk_{secrets.token_urlsafe(32)}"
    probe.hide(wrong, NEVER_ISSUED)
    return (await _ask(probe, origin=probe.target.origin, bearer=wrong)).facts()


@suite.check(
    "token-bad-origin-403",
    promise="An origin that is not on the allowlist gets no token, even with a good key, and no CORS permission.",
    condition=REFUSED_ORIGIN,
    advice="Compare the Origin header with the allowlist exactly, and add CORS headers only after it was found there.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY],
)
async def token_bad_origin(probe: Probe) -> Mapping[str, object]:
    return (await _ask(probe, origin=BAD_ORIGIN, bearer=probe.target.key)).facts()


@suite.check(
    "token-bad-origin-before-credential",
    promise="The origin is judged before the credential: a bad origin gets 403, not a hint about credentials.",
    condition=REFUSED_ORIGIN,
    advice="Move the origin check in front of the authenticators.",
)
async def token_bad_origin_first(probe: Probe) -> Mapping[str, object]:
    return (await _ask(probe, origin=BAD_ORIGIN, bearer=None)).facts()


@suite.check(
    "token-null-origin-403",
    promise="The origin `null`, which sandboxed pages and local files send, gets no token.",
    condition=REFUSED_ORIGIN,
    advice="Remove `null` from the allowlist; any sandboxed frame on the web can send it.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY],
)
async def token_null_origin(probe: Probe) -> Mapping[str, object]:
    return (await _ask(probe, origin="null", bearer=probe.target.key)).facts()


@suite.check(
    "token-issued-200",
    promise="A good key from an allowed origin gets a token in the envelope, with the legacy fields, never cached.",
    condition=(
        '[STATUS] == 200 && [ENVELOPE_FAULTS] == [] && [BODY].data.token matches ".+" && '
        "[BODY].token == [BODY].data.token && [BODY].expiresAt == [BODY].data.expiresAt && "
        '[BODY].data.url exists && [HEADER].cache-control contains "no-store"'
    ),
    advice="Check the key and the origin given to the gates first; then the token route's answer against the envelope.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def token_issued(probe: Probe) -> Mapping[str, object]:
    answer = await _ask(probe, origin=probe.target.origin, bearer=probe.target.key, sub="gate-issued")
    _hide_token(probe, answer)
    return answer.facts()


@suite.check(
    "token-ttl",
    promise="A token lives no longer than its environment allows, and says so truly.",
    condition="[TTL] == [EXPIRES_IN] && [TTL] <= [TTL_LIMIT] && [TTL] > 0",
    advice="Compare the token's exp and iat with the environment's limit: 600 s in dev, 300 s in preview and prod.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
)
async def token_ttl(probe: Probe) -> Mapping[str, object]:
    answer = await _ask(probe, origin=probe.target.origin, bearer=probe.target.key, sub="gate-ttl")
    return _ttl_facts(probe, answer)


@suite.check(
    "token-ttl-capped",
    promise="Asking for a longer life than the environment allows does not get one.",
    condition="[GRANTED_TTL] <= [TTL_LIMIT]",
    advice="Cap or refuse a `ttl` above the environment's limit before signing.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
)
async def token_ttl_capped(probe: Probe) -> Mapping[str, object]:
    answer = await _ask(probe, origin=probe.target.origin, bearer=probe.target.key, sub="gate-cap", ttl=TOO_LONG)
    facts = _ttl_facts(probe, answer)
    is_refused = answer.status in REFUSED_AS_UNFIT and not facts["ENVELOPE_FAULTS"]
    if is_refused:
        await probe.mint(sub="gate-cap")  # it is the life that was refused only where the same without one is granted
    return {**facts, "GRANTED_TTL": 0 if is_refused else facts["TTL"]}


@suite.check(
    "client-secrets-shape",
    promise="OpenAI's own clients can ask for an ephemeral key and get it in the shape they know, within the TTL.",
    condition=(
        '[STATUS] == 200 && [BODY].value matches "ek_.+" && [BODY].session.type == "realtime" && '
        "[EXPIRES_AT_IS_EXP] == true && [TTL] <= [TTL_LIMIT]"
    ),
    advice="Answer `{value, expires_at, session}` at the top level, `expires_at` in whole seconds, as OpenAI does.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def client_secrets(probe: Probe) -> Mapping[str, object]:
    body = {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": {"type": "realtime"}}
    target = probe.target
    answer = await probe.http("POST", target.routes.client_secrets, origin=target.origin, bearer=target.key, json=body)
    granted = answer.body if isinstance(answer.body, Mapping) else {}
    value = granted.get("value")
    facts = {**answer.facts(), **_life_of(value), "TTL_LIMIT": target.token_ttl}
    if isinstance(value, str):
        probe.hide(value)
        probe.hide(value.removeprefix(EPHEMERAL_PREFIX))
    # Truth, not equality: an `expires_at` that is absent must not equal an `exp` that is absent too.
    facts["EXPIRES_AT_IS_EXP"] = isinstance(facts["EXP"], int) and granted.get("expires_at") == facts["EXP"]
    return facts


@suite.check(
    "revoke-unauthenticated-401",
    promise="Nobody revokes anything without a credential.",
    condition=UNAUTHENTICATED,
    advice="Put the revoke route behind the same authenticators as the token route.",
    severity=Severity.CRITICAL,
    needs=[Need.ORIGIN],
)
async def revoke_unauthenticated(probe: Probe) -> Mapping[str, object]:
    target = probe.target
    answer = await probe.http("POST", target.routes.revoke, origin=target.origin, json={"sub": "gate-nobody"})
    return answer.facts()


@suite.check(
    "revoke-issuer-403",
    promise="Revoking needs an operator: a key that may only issue tokens is refused.",
    condition="[STATUS] == 403 && [ENVELOPE_FAULTS] == []",
    advice="Check the key's role before revoking; 401 is for callers nobody knows, 403 for those who may not.",
    severity=Severity.CRITICAL,
    needs=[Need.ISSUER, Need.ORIGIN],
)
async def revoke_issuer(probe: Probe) -> Mapping[str, object]:
    target = probe.target
    answer = await probe.http(
        "POST",
        target.routes.revoke,
        origin=target.origin,
        bearer=target.issuer_key,
        json={"sub": "gate-nobody"},
    )
    return answer.facts()


@suite.check(
    "secrets-never-echoed",
    promise="No answer, good or bad, holds the caller's API key, nor the signing secret where the gates know it.",
    condition="[TOKEN_STATUS] == 200 && [NOT_THERE] == [] && [LEAKS] == []",
    advice="Find where the named answer copies request headers or settings into its body or headers.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
)
async def secrets_never_echoed(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    target, routes = probe.target, probe.target.routes

    async def call(method: str, path: str, content: bytes | None = None, media_type: str = "") -> Answer:
        headers = {"Content-Type": media_type} if media_type else None
        return await probe.http(method, path, origin=target.origin, bearer=target.key, content=content, headers=headers)

    answers = {
        "a token": await call("POST", routes.token, b'{"sub": "gate-echo"}', "application/json"),
        "health": await call("GET", routes.health),
        "404": await call("GET", routes.missing),
        "405": await call("DELETE", routes.token),
        "400": await call("POST", routes.token, b"{", "application/json"),
        "415": await call("POST", routes.token, b"x", "text/plain"),
        "403": await _ask(probe, origin=BAD_ORIGIN, bearer=target.key),
    }
    _hide_token(probe, answers["a token"])
    leaks = [name for name, answer in answers.items() if probe.leaks_key(answer)]
    # A route that is not there has nothing to echo, and proves nothing.
    not_there = [name for name, answer in answers.items() if answer.status == 404 and name != "404"]
    return {"TOKEN_STATUS": answers["a token"].status, "NOT_THERE": not_there, "LEAKS": leaks}


def _hide_token(probe: Probe, answer: Answer) -> str | None:
    body = answer.body
    data = body.get("data") if isinstance(body, Mapping) else None
    token = data.get("token") if isinstance(data, Mapping) else None
    if not isinstance(token, str):
        return None
    probe.hide(token)
    return token


def _ttl_facts(probe: Probe, answer: Answer) -> dict[str, object]:
    facts = answer.facts()
    body = answer.body
    data = body.get("data") if isinstance(body, Mapping) else None
    return {
        **facts,
        **_life_of(_hide_token(probe, answer)),
        "EXPIRES_IN": data.get("expiresIn", ABSENT) if isinstance(data, Mapping) else ABSENT,
        "TTL_LIMIT": probe.target.token_ttl,
    }


def _life_of(token: object) -> dict[str, object]:
    """TTL (``exp - iat``) and EXP of a token; both absent where it can't be read."""
    nothing: dict[str, object] = {"TTL": ABSENT, "EXP": ABSENT}
    if not isinstance(token, str):
        return nothing
    try:
        claims = claims_of(token)
    except ValueError:
        return nothing
    issued, expires = claims.get("iat"), claims.get("exp")
    if not _is_moment(issued) or not _is_moment(expires):
        return nothing
    return {"TTL": round(expires - issued), "EXP": round(expires)}


def _is_moment(value: object) -> TypeGuard[float]:
    """RFC 7519 section 2, NumericDate: seconds, of which there may be a fraction."""
    return isinstance(value, int | float) and not isinstance(value, bool)
