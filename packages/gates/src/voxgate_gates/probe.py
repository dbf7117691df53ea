"""What a check holds in its hand: HTTP, WebSocket and raw bytes to one target, with every step written down."""

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from voxgate_gates.channel import Channel
from voxgate_gates.credentials import Token, epoch_seconds
from voxgate_gates.envelope import TRACE_HEADER, envelope_faults, is_trace_id, parse_json
from voxgate_gates.redaction import MIN_GIVEN, TOKEN, Redactor
from voxgate_gates.reproduce import HttpRequest, SocketRequest, raw_command, rerun_command
from voxgate_gates.target import Target

__all__ = ["Answer", "Misanswered", "Probe", "Unjudged", "http_client", "why_silent"]

HTTP_SECONDS: Final = 8.0
"""How long an answer may take, from the first byte sent to the last one read: longer than the gateway's own deadline for a
request (5 s)."""

CONNECT_SECONDS: Final = 5.0
"""How long a connection may take to be made; less than an answer, so that a target out of reach is told from a slow one."""

RAW_BYTES: Final = 256 * 1024
"""Bytes of a raw answer that are read."""

BODY_BYTES: Final = 1024 * 1024
"""The largest answer a target may give to a check."""

EVENT_BYTES: Final = 1024 * 1024
"""The largest single event a target may send to a check."""

SHOWN_MESSAGE: Final = 400
"""Characters of a WebSocket message that a command repeats."""


SHOWN_BODY: Final = 64 * 1024
"""Bytes of a request's body that are written down; a longer one is, when it repeats one byte."""


class Unjudged(Exception):
    """The check could not get as far as its question; the sentence says why."""


class Misanswered(Exception):
    """The target answered what no check can read; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. Header names are lower case, several lines of one name are joined by ``", "``."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def body(self) -> object:
        """The JSON value, or ABSENT."""
        return parse_json(self.content)

    def text(self) -> str:
        """Everything the target said, for looking for what must not be in it."""
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        return "\n".join((*lines, self.content.decode("utf-8", "replace")))

    def facts(self, *, data: bool = True) -> dict[str, object]:
        """STATUS, HEADER, BODY, VARY (its members, lower case), ENVELOPE_FAULTS (with ``data`` required or not)."""
        body = self.body
        vary = [member.strip().lower() for member in self.headers.get("vary", "").split(",") if member.strip()]
        return {
            "STATUS": self.status,
            "HEADER": self.headers,
            "BODY": body,
            "VARY": vary,
            "ENVELOPE_FAULTS": envelope_faults(self.status, self.headers, body, data=data),
        }


def http_client(target: Target) -> httpx.AsyncClient:
    """The client every probe of a run shares. No connection is kept: a stale one would look like a broken target.

    No cookie is kept either: what one check was given is no other's. Answers are asked for as they are, not compressed.
    """
    return httpx.AsyncClient(
        headers={"Accept-Encoding": "identity"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(HTTP_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_keepalive_connections=0),
        trust_env=not target.is_loopback,
        mounts={"all://127.0.0.1": None},  # the PHP shim is on this machine, wherever the target is
    )


async def why_silent(target: Target) -> str:
    """Why nothing answers at the target's URL; empty where anything does. No credential is sent."""
    async with http_client(target) as client:
        try:
            async with asyncio.timeout(HTTP_SECONDS):  # TimeoutError is an OSError
                await (await client.send(client.build_request("HEAD", target.url), stream=True)).aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.InvalidURL, OSError) as error:
            return str(error) or "no answer in time"
        except httpx.HTTPError:
            return ""  # something is there; the checks will tell what
    return ""


class Probe:
    """One check's view of the target. The last request made (setup aside) is the one the report shows."""

    def __init__(self, target: Target, client: httpx.AsyncClient, redactor: Redactor, check_id: str) -> None:
        self.target = target
        self._client = client
        self._redactor = redactor
        self._check_id = check_id
        self._is_whole = False
        self.request = ""
        self.reproduce = rerun_command(check_id, target.url)
        self.trace_id = ""
        self.figures: list[tuple[str, str]] = []

    def figure(self, name: str, text: str) -> None:
        """Note a measurement worth printing."""
        self.figures.append((name, text))

    def leaks_key(self, answer: Answer) -> bool:
        """Whether an answer holds a key or secret of the target, in any form. Tokens are not meant: those are issued."""
        return self.target.redactor().finds(answer.text())

    async def http(
        self,
        method: str,
        path: str,
        *,
        origin: str | None = None,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        setup: bool = False,
        traced: bool = True,
        base: str | None = None,
        seconds: float = HTTP_SECONDS,
    ) -> Answer:
        """Send one request and read the whole answer. Raises what ``httpx`` raises when none came, ``TimeoutError``
        when it was not whole after ``seconds``, and :class:`Misanswered` for one that is too large or compressed.

        ``base`` is where ``path`` begins, if not at the target's URL;
        ``setup`` keeps the request out of the report; ``traced=False`` sends no ``traceparent``.
        """
        sent = dict(headers or {})
        if traced:
            sent.setdefault("traceparent", self._traceparent(setup))
        if origin is not None:
            sent["Origin"] = origin
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        url = self.target.http_url(path) if base is None else f"{base}{path}"
        request = self._client.build_request(method, url, headers=sent, json=json, content=content)
        if json is not None:
            sent.setdefault("Content-Type", "application/json")
        if not setup:
            self._record_http(HttpRequest(method, url, sent, _shown(request.content)))
        async with asyncio.timeout(seconds):  # httpx counts each read anew, and a target may drip
            response = await self._client.send(request, stream=True)
            try:
                content = await _body_of(response)
            finally:
                await response.aclose()
        names = dict.fromkeys(name.lower() for name in response.headers)
        answer = Answer(response.status_code, {name: response.headers[name] for name in names}, content)
        given = answer.headers.get(TRACE_HEADER, "")
        if not setup and is_trace_id(given):
            self.trace_id = given
        return answer

    async def mint(self, *, origin: str | None = None, **body: object) -> Token:
        """Get a session token for the allowed origin (or another). Raises :class:`Unjudged` when none is given."""
        path = self.target.routes.token
        body.setdefault("sub", f"gate-{secrets.token_hex(4)}")
        answer = await self.http(
            "POST", path, origin=origin or self.target.origin, bearer=self.target.key, json=body, setup=True
        )
        granted = answer.body
        data = granted.get("data") if isinstance(granted, Mapping) else None
        if answer.status != 200 or not isinstance(data, Mapping):
            raise Unjudged(f"no token to begin with: POST {path} answered {answer.status}")
        try:
            value, expires_in = str(data["token"]), float(str(data["expiresIn"]))
            if not (value.isascii() and value.isprintable()):
                raise ValueError("a token that can be sent")
            token = Token(value, epoch_seconds(data["expiresAt"]), expires_in)
        except (KeyError, ValueError) as error:
            raise Unjudged(f"no token to begin with: POST {path} answered without {error}") from error
        self.hide(token.value)
        return token

    def hide(self, credential: str, placeholder: str = TOKEN) -> None:
        """Keep a token, or another credential that the target gave, out of every report."""
        if len(credential) >= MIN_GIVEN:
            self._redactor.hide(credential, placeholder)

    def reproduce_whole(self) -> None:
        """Let the report repeat the whole check: its last request alone would not show the same."""
        self._is_whole = True

    @asynccontextmanager
    async def socket(
        self,
        path: str,
        *,
        token: str | None = None,
        origin: str | None = None,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
    ) -> AsyncIterator[Channel]:
        """Open a WebSocket; ``token`` goes as Bearer. A refused handshake is a channel too: see its ``status``."""
        sent = {"traceparent": self._traceparent(setup=False), **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        url = self.target.ws_url(path)
        channel = None
        connection = None
        try:
            try:
                connection = await _Connect(
                    url,
                    origin=None if origin is None else Origin(origin),
                    additional_headers=sent,
                    subprotocols=[Subprotocol(name) for name in subprotocols] or None,
                    compression=None,
                    proxy=None if self.target.is_loopback else True,
                    open_timeout=HTTP_SECONDS,
                    close_timeout=1.0,
                    ping_interval=None,
                    max_size=EVENT_BYTES,
                )
            except InvalidStatus as refused:
                answered = {name.lower(): value for name, value in refused.response.headers.raw_items()}
                channel = Channel(None, status=refused.response.status_code, headers=answered)
            else:
                channel = Channel(connection, status=101, headers={})
            yield channel
        finally:
            messages = [] if channel is None else channel.sent
            self._record_socket(SocketRequest(url, sent, origin, subprotocols, messages))
            if connection is not None:
                await connection.close()

    async def raw(self, data: bytes, *, seconds: float = HTTP_SECONDS) -> bytes:
        """Write bytes to the target's port and read until it closes. Raises ``OSError`` when it can't be reached.

        Raises ``TimeoutError`` when the target does not close in time.
        """
        target = self.target
        self.request = self._redactor.text(f"BYTES {data!r} to {target.host}:{target.port}")
        self.reproduce = self._redactor.text(raw_command(data, target.host, target.port, is_tls=target.is_tls))
        context = ssl.create_default_context() if target.is_tls else None
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
            try:
                received = bytearray()
                with contextlib.suppress(ConnectionResetError):  # a reset after the answer ends it all the same
                    writer.write(data)
                    await writer.drain()
                    while len(received) < RAW_BYTES and (chunk := await reader.read(65536)):
                        received += chunk
                return bytes(received)
            finally:
                writer.close()
                with contextlib.suppress(OSError):  # closing a connection the target has reset
                    await writer.wait_closed()

    def _traceparent(self, setup: bool) -> str:
        trace_id = secrets.token_hex(16)
        if not setup:
            self.trace_id = trace_id
        return f"00-{trace_id}-{secrets.token_hex(8)}-01"

    def _record_http(self, request: HttpRequest) -> None:
        # Runs on the loop that other checks are being timed on: nothing here may take long over a large body.
        hidden = HttpRequest(
            request.method,
            self._redactor.text(request.url),
            {name: self._redactor.text(value) for name, value in request.headers.items()},
            request.body if len(request.body) > SHOWN_BODY else self._redactor.text(request.body),
        )
        self._record(hidden.text(), hidden.command())

    def _record_socket(self, request: SocketRequest) -> None:
        hide = self._redactor.text
        messages: list[str | bytes | None] = []
        for message in request.messages:
            if len(message or "") > SHOWN_MESSAGE:
                messages.append(None)
            else:
                messages.append(hide(message) if isinstance(message, str) else message)
        hidden = SocketRequest(
            hide(request.url),
            {name: hide(value) for name, value in request.headers.items()},
            request.origin,
            [hide(name) for name in request.subprotocols],
            messages,
        )
        self._record(hidden.text(), hidden.command())

    def _record(self, request: str, command: str | None) -> None:
        self.request = request
        if command is None or self._is_whole:
            command = rerun_command(self._check_id, self.target.url)
        self.reproduce = command


class _Connect(connect):
    """Follows no redirect: the credential is for the target and nobody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _body_of(response: httpx.Response) -> bytes:
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Misanswered("the answer is compressed, which was not asked for")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > BODY_BYTES:
            raise Misanswered(f"the answer is larger than {BODY_BYTES} bytes")
    return bytes(content)


def _shown(content: bytes) -> str:
    if len(content) > SHOWN_BODY and content.count(content[:1]) != len(content):
        content = content[:SHOWN_BODY]
    return content.decode("utf-8", "replace")
