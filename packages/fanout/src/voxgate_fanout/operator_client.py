"""Finds the running gateway and asks it things, for the command line."""

import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

__all__ = ["CONTROL_FILE", "OperatorClient", "Refused", "Unreachable", "running_gateway"]

CONTROL_FILE: Final = "control.json"
"""In its data folder a gateway says where it answers, and to which key: ``{"url", "key", "pid"}``, for its own user."""

MAX_CONTROL: Final = 16 * 1024
"""Bytes of that file; a longer one is none."""

SECONDS: Final = 60.0
"""How long the gateway may take for one answer; a slow target that is tested takes longest."""

MAX_PORT: Final = 65_535
PATH: Final = "/api/voice/fanout"

NAME_ONE: Final = "name its data folder with --data-dir, or the gateway with --url and an operator key in VOXGATE_KEY"
WRONG_KEY: Final = "set VOXGATE_KEY to an operator key of this gateway (`voxgate keys new --role operator`)"

HINTS: Final[Mapping[str, str]] = {
    "credential_missing": WRONG_KEY,
    "credential_invalid": WRONG_KEY,
    "role_refused": WRONG_KEY,
    "unavailable": "try again in a moment",
}
"""What to do about a refusal, by its code."""


class Refused(Exception):
    """The gateway said no; the sentence says why, and what to do where that is known."""


class Unreachable(Exception):
    """There is no gateway to ask; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class OperatorClient:
    """A gateway's fan-out routes. Every call returns the ``data`` of the answer; parts of a path may be any text.

    ``advice`` is what to do when nobody answers within ``seconds``. Raises :class:`Refused` and :class:`Unreachable`.
    """

    url: httpx.URL
    key: str = field(repr=False)
    advice: str
    seconds: float = SECONDS

    def get(self, *path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._ask("GET", path, params=query)

    def post(self, *path: str, body: Mapping[str, object]) -> dict[str, Any]:
        # In ASCII, so that an argument which is no text is for the gateway to refuse.
        content = json.dumps(body, allow_nan=False).encode("ascii")
        return self._ask("POST", path, content=content)

    def delete(self, *path: str) -> dict[str, Any]:
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: tuple[str, ...], **request: Any) -> dict[str, Any]:
        url = "/".join([_shown(self.url) + PATH, *map(_quoted, path)])
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        # A proxy of the environment is not asked for what is on this machine: it would look on its own.
        transport = httpx.HTTPTransport() if _is_here(self.url.host) else None
        try:
            with httpx.Client(transport=transport, timeout=self.seconds) as client:
                answer = client.request(method, url, headers=headers, **request)
        except httpx.TimeoutException:
            raise Unreachable(f"the gateway at {_shown(self.url)} took too long; {self.advice}") from None
        except httpx.HTTPError as error:
            reason = type(error).__name__
            raise Unreachable(f"no gateway answers at {_shown(self.url)} ({reason}); {self.advice}") from None
        return self._data(answer)

    def _data(self, answer: httpx.Response) -> dict[str, Any]:
        body = _read(answer.content)
        if isinstance(body, dict):
            data, error = body.get("data"), body.get("error")
            if body.get("success") is True and isinstance(data, dict):
                return data
            if body.get("success") is False and isinstance(error, dict):
                raise Refused(_reason(error))
        place = f"{_shown(self.url)} (HTTP {answer.status_code})"
        raise Unreachable(f"what answers at {place} is no gateway with fan-out; {self.advice}")


def running_gateway(url: str | None, key: str | None, data_dir: Path) -> OperatorClient:
    """The gateway at ``url``, with ``key``; without a ``url`` the one that the control file of ``data_dir`` tells.

    A key goes to the gateway it belongs to: ``key`` only to ``url``, that of the file only to the file's. Raises
    :class:`Unreachable`.
    """
    path = data_dir / CONTROL_FILE
    if url is None:
        known, known_key = _read_control(path)
        advice = f"{path} may be left from one that has ended: start it again, or {NAME_ONE}"
        return OperatorClient(known, known_key, advice)
    given = _checked(url)
    if given is None:
        raise Unreachable("--url must begin with http:// or https://, have a host, and neither password nor query")
    key = _key_of(given, path) if key is None else key.strip()
    if not (key and key.isascii() and key.isprintable()):
        raise Unreachable(f"there is no key for {_shown(given)}: {WRONG_KEY}")
    return OperatorClient(given, key, "is it running, and is --url right?")


def _key_of(url: httpx.URL, path: Path) -> str:
    """The key in the control file if that is of the gateway at ``url``, else nothing."""
    try:
        known, key = _read_control(path)
    except Unreachable:
        return ""
    return key if (known.scheme, known.host, known.port) == (url.scheme, url.host, url.port) else ""


def _read_control(path: Path) -> tuple[httpx.URL, str]:
    """Where a gateway answers, and its key. Raises :class:`Unreachable`."""
    try:
        # Without blocking: what lies there may be a pipe.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            status = os.fstat(file.fileno())
            text = file.read(MAX_CONTROL + 1) if stat.S_ISREG(status.st_mode) else b""
    except (FileNotFoundError, NotADirectoryError):
        start = "start one there (`voxgate serve`)"
        raise Unreachable(f"no gateway runs with the data folder {path.parent}: {start}, or {NAME_ONE}") from None
    except OSError as error:
        mend = "run this as the gateway's user"
        raise Unreachable(f"{path} can't be read ({error.strerror}): {mend}, or {NAME_ONE}") from None
    if sys.platform != "win32" and not _is_trusted(status, os.geteuid()):
        mend = "delete it and restart its gateway"
        raise Unreachable(f"{path} may have been written by others than you: {mend}, or {NAME_ONE}")
    control = _read(text) if len(text) <= MAX_CONTROL else None
    if isinstance(control, dict) and isinstance(control.get("url"), str) and isinstance(control.get("key"), str):
        url, key = _checked(control["url"]), control["key"]
        if url is not None and key.isascii() and key.isprintable():
            return url, key
    raise Unreachable(f"{path} can't be understood: restart its gateway, or {NAME_ONE}")


def _is_trusted(status: os.stat_result, user: int) -> bool:
    """Whether nobody else can have written the file: it may send us, and the secrets we are given, anywhere."""
    theirs = user != 0 and status.st_uid not in (0, user)
    return not theirs and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _reason(error: Mapping[str, Any]) -> str:
    """A refusal in one line."""
    details = error.get("details")
    said = []
    if isinstance(details, dict):
        for name, value in details.items():
            if name == "faults" and isinstance(value, list):
                said += [str(fault) for fault in value]
            elif name == "fields" and isinstance(value, list):
                said += [_fault(found) for found in value]
            elif isinstance(value, str):
                said.append(f"{name}: {value}")
    message = str(error.get("message", "no reason was given"))
    whole = f"{message}: {'; '.join(said)}" if said else message
    hint = HINTS.get(str(error.get("code")))
    return whole if hint is None else f"{whole}; {hint}"


def _fault(found: object) -> str:
    """One field that the gateway refused: where it is, and why."""
    if isinstance(found, dict) and isinstance(found.get("at"), list):
        return f"{'.'.join(map(str, found['at'][1:]))}: {found.get('message')}"
    return str(found)


def _checked(url: str) -> httpx.URL | None:
    """The URL of a gateway; ``None`` for any other text."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    if parsed.scheme not in ("http", "https") or not parsed.host or not 0 < (parsed.port or 80) <= MAX_PORT:
        return None
    return None if parsed.userinfo or parsed.query or parsed.fragment else parsed


def _read(text: bytes) -> object:
    """A JSON value; ``None`` for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _shown(url: httpx.URL) -> str:
    return str(url).rstrip("/")


def _quoted(part: str) -> str:
    """One part of a path: neither a slash nor two dots lead out of it, also where something on the way tidies paths."""
    return quote(part, safe="", errors="surrogatepass").replace(".", "%2E")


def _is_here(host: str) -> bool:
    """Whether this machine is meant; also by a gateway that says it answers at all its addresses."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
