"""The Realtime gate, first half: who gets a session, and how everybody else is told."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Final

from voxgate_gates.channel import Channel
from voxgate_gates.check import Need, Severity, Suite
from voxgate_gates.checks.security import BAD_ORIGIN
from voxgate_gates.condition import ABSENT
from voxgate_gates.credentials import EPHEMERAL_PREFIX, epoch_seconds, tampered
from voxgate_gates.probe import Probe, Unjudged

__all__ = ["ANNOUNCED", "REASON", "admitted", "suite"]

suite = Suite("realtime")

REASON: Final = "[REASON_BYTES] >= 1 && [REASON_BYTES] <= 123"
"""A close reason a browser can show: RFC 6455 section 5.5 leaves 123 bytes beside the code."""

ANNOUNCED: Final = "auth_success"

EXPIRY_MARGIN: Final = 1.2
"""Seconds waited past a token's end: its times are whole seconds."""

SILENCE_GRANTED: Final = 2
"""Seconds that a client on a slow line must be given to send its credential."""

SILENCE_LIMIT: Final = 7.0
"""Seconds after which a socket without a credential must be gone: 5 s and some for the way."""

SUBPROTOCOL: Final = "realtime"


def _refused(code: int) -> str:
    return f'[STATUS] == 101 && [CLOSE_CODE] == {code} && [FIRST].type == "error" && [ERROR].code matches "[a-z_]+" && {REASON}'


ADMITTED: Final = f'[STATUS] == 101 && [FIRST].type == "{ANNOUNCED}"'


async def admitted(channel: Channel) -> Mapping[str, object]:
    """The announcement of a session. Raises :class:`Unjudged` when the target did not open one."""
    event = await channel.receive()
    if event is None or event.get("type") != ANNOUNCED:
        raise Unjudged(f"a good token was not admitted: HTTP {channel.status}, close code {channel.close_code}")
    return event


async def _presented(probe: Probe, token: str, *, origin: str | None) -> Mapping[str, object]:
    async with probe.socket(probe.target.routes.native, token=token, origin=origin) as channel:
        await channel.refused()
        return channel.facts()


@suite.check(
    "no-credential-4001",
    promise="A socket without a credential is accepted, told why, and closed 4001, where a browser can see it.",
    condition=_refused(4001),
    advice="Accept the handshake before closing: a close before accept reaches the client as a bare HTTP 403.",
    severity=Severity.CRITICAL,
    needs=[Need.ORIGIN],
)
async def no_credential(probe: Probe) -> Mapping[str, object]:
    async with probe.socket(probe.target.routes.openai, origin=probe.target.origin) as channel:
        await channel.refused()
        return channel.facts()


@suite.check(
    "silent-socket-4001",
    promise="A socket that never says who it is gets closed 4001 within about five seconds.",
    condition=f"{_refused(4001)} && [WAITED] >= {SILENCE_GRANTED} && [WAITED] <= {SILENCE_LIMIT}",
    advice="Start a timer when the socket is accepted and close 4001 when no credential came in time.",
    needs=[Need.ORIGIN],
    slow=True,
    seconds=12.0,
)
async def silent_socket(probe: Probe) -> Mapping[str, object]:
    async with probe.socket(probe.target.routes.native, origin=probe.target.origin) as channel:
        opened = time.monotonic()
        await channel.refused()
        waited = round(time.monotonic() - opened, 2)
        probe.figure("silent socket closed after", f"{waited} s")
        return {**channel.facts(), "WAITED": waited}


@suite.check(
    "garbage-token-4003",
    promise="A credential that is no token at all is refused 4003.",
    condition=_refused(4003),
    advice="Check the token's shape before anything decodes it, and close 4003 with an error event before.",
    severity=Severity.CRITICAL,
    needs=[Need.ORIGIN],
)
async def garbage_token(probe: Probe) -> Mapping[str, object]:
    return await _presented(probe, f"garbage-{secrets.token_hex(8)}", origin=probe.target.origin)


@suite.check(
    "tampered-token-4003",
    promise="A token whose signature was changed by one character is refused 4003.",
    condition=_refused(4003),
    advice="Verify the signature with the key named by `kid`, and refuse on any mismatch.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
)
async def tampered_token(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    token = await probe.mint()
    changed = tampered(token.value)
    probe.hide(changed)
    return await _presented(probe, changed, origin=probe.target.origin)


@suite.check(
    "expired-token-4003",
    promise="A token past its end is refused 4003.",
    condition=_refused(4003),
    advice="Compare `exp` with the clock at the handshake, with no leeway beyond a second.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
    slow=True,
    seconds=15.0,
)
async def expired_token(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    token = await probe.mint(ttl=1)
    if token.expires_in > 5:
        raise Unjudged(f"a token of 1 s was asked for and one of {token.expires_in:g} s given: too long to wait for")
    # By its life rather than its end: the target's clock may differ from ours.
    await asyncio.sleep(token.expires_in + EXPIRY_MARGIN)
    return await _presented(probe, token.value, origin=probe.target.origin)


@suite.check(
    "wrong-origin-token-4003",
    promise="A token issued to one allowed origin is refused 4003 from another.",
    condition=_refused(4003),
    advice="Put the origin into the token when it is issued, and compare it at the handshake.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN, Need.OTHER_ORIGIN],
)
async def wrong_origin_token(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    token = await probe.mint()
    return await _presented(probe, token.value, origin=probe.target.other_origin)


@suite.check(
    "replayed-token-4003",
    promise="A token opens one session: shown a second time it is refused 4003.",
    condition=_refused(4003),
    advice="Spend the token's `jti` atomically on first use, keyed on the claim and never on the token's text.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
)
async def replayed_token(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    token = await probe.mint()
    async with probe.socket(probe.target.routes.native, token=token.value, origin=probe.target.origin) as first:
        await admitted(first)
    return await _presented(probe, token.value, origin=probe.target.origin)


@suite.check(
    "revoked-live-4003",
    promise="Revoking a session closes its live socket 4003.",
    condition=f'[REVOKED] == 200 && [CLOSE_CODE] == 4003 && [ERROR].code matches "[a-z_]+" && {REASON}',
    advice="Announce a revocation to every node, and let each close the sockets it names.",
    severity=Severity.CRITICAL,
    safe_on_production=False,
    needs=[Need.KEY, Need.ORIGIN],
)
async def revoked_live(probe: Probe) -> Mapping[str, object]:
    probe.reproduce_whole()
    target = probe.target
    token = await probe.mint()
    async with probe.socket(target.routes.native, token=token.value, origin=target.origin) as channel:
        session_id = (await admitted(channel)).get("sessionId")
        answer = await probe.http(
            "POST",
            target.routes.revoke,
            origin=target.origin,
            bearer=target.key,
            json={"sessionId": session_id},
            setup=True,
        )
        await channel.closed()
        return {**channel.facts(), "REVOKED": answer.status}


@suite.check(
    "bad-origin-403",
    promise="A page of an origin that is not allowed gets no socket: the handshake itself is refused 403.",
    condition="[STATUS] == 403",
    advice="Judge the Origin header before accepting the upgrade, by the same allowlist as the token route.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
)
async def bad_origin(probe: Probe) -> Mapping[str, object]:
    token = await probe.mint()
    async with probe.socket(probe.target.routes.native, token=token.value, origin=BAD_ORIGIN) as channel:
        return channel.facts()


@suite.check(
    "auth-success-first",
    promise="A good token by Bearer is answered by `auth_success` before anything else, with the session's facts.",
    condition=(
        f'{ADMITTED} && [FIRST].sessionId matches ".+" && [FIRST].resumed == false && [FIRST].received == 0 && '
        "[EXPIRES_AT_DRIFT] <= 1"
    ),
    advice="Send `auth_success` as soon as the token is verified, before the upstream's first event is relayed.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def auth_success_first(probe: Probe) -> Mapping[str, object]:
    token = await probe.mint()
    async with probe.socket(probe.target.routes.native, token=token.value, origin=probe.target.origin) as channel:
        event = await channel.receive() or {}
        try:
            drift: object = abs(epoch_seconds(event.get("expiresAt")) - token.expires_at)
        except ValueError:
            drift = ABSENT
        return {**channel.facts(), "EXPIRES_AT_DRIFT": drift}


@suite.check(
    "credential-subprotocol",
    promise="A browser, which can't set headers, is admitted by subprotocol, and hears exactly `realtime` back.",
    condition=f'{ADMITTED} && [SUBPROTOCOL] == "{SUBPROTOCOL}"',
    advice="Read `openai-insecure-api-key.<token>` from the offered subprotocols; echo `realtime`, never the credential.",
    needs=[Need.KEY, Need.ORIGIN],
)
async def credential_subprotocol(probe: Probe) -> Mapping[str, object]:
    token = await probe.mint()
    offered = [SUBPROTOCOL, f"openai-insecure-api-key.{token.value}"]
    target = probe.target
    async with probe.socket(target.routes.native, origin=target.origin, subprotocols=offered) as channel:
        await channel.receive()
        return channel.facts()


@suite.check(
    "credential-first-message",
    promise="A client is admitted by a first message that carries its token.",
    condition=ADMITTED,
    advice='Take `{"type":"auth","token":…}` as the first message on the native path, within five seconds.',
    needs=[Need.KEY, Need.ORIGIN],
)
async def credential_first_message(probe: Probe) -> Mapping[str, object]:
    token = await probe.mint()
    async with probe.socket(probe.target.routes.native, origin=probe.target.origin) as channel:
        await channel.send({"type": "auth", "token": token.value})
        await channel.receive()
        return channel.facts()


@suite.check(
    "credential-api-key-header",
    promise="Clients written for Azure are admitted by the `api-key` header, with the `ek_` prefix or without.",
    condition=ADMITTED,
    advice="Read the api-key header after Authorization, and strip the `ek_` prefix before verifying.",
    severity=Severity.MINOR,
    needs=[Need.KEY, Need.ORIGIN],
)
async def credential_api_key_header(probe: Probe) -> Mapping[str, object]:
    token = await probe.mint()
    headers = {"api-key": f"{EPHEMERAL_PREFIX}{token.value.removeprefix(EPHEMERAL_PREFIX)}"}
    async with probe.socket(probe.target.routes.native, origin=probe.target.origin, headers=headers) as channel:
        await channel.receive()
        return channel.facts()


@suite.check(
    "query-token-refused",
    promise="A token in the query string, which ends up in logs, opens no session on any path.",
    condition="[NATIVE].CLOSE_CODE == 4001 && [OPENAI].CLOSE_CODE == 4001",
    advice="Look for credentials in headers, subprotocols and the first message only.",
    severity=Severity.CRITICAL,
    needs=[Need.KEY, Need.ORIGIN],
    slow=True,
    seconds=15.0,
)
async def query_token_refused(probe: Probe) -> Mapping[str, object]:
    async def try_path(path: str) -> Mapping[str, object]:
        token = await probe.mint()
        joint = "&" if "?" in path else "?"
        query = "&".join(f"{name}={token.value}" for name in ("token", "access_token"))
        async with probe.socket(f"{path}{joint}{query}", origin=probe.target.origin) as channel:
            await channel.refused()
            return channel.facts()

    routes = probe.target.routes
    native, openai = await asyncio.gather(try_path(routes.native), try_path(routes.openai))
    return {"NATIVE": native, "OPENAI": openai}
