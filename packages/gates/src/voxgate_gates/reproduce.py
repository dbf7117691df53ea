"""Writes a request as text, and as a command that makes it again. Pure; takes texts that are already redacted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from voxgate_gates.redaction import shell_quote

__all__ = ["HttpRequest", "SocketRequest", "raw_command", "rerun_command"]

MAX_BODY: Final = 600
"""Characters of a body that a report shows; longer ones are described."""

MAX_MESSAGES: Final = 6
"""Messages a WebSocket command sends; a longer conversation is reproduced by running its check again."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str = ""

    def text(self) -> str:
        """The request line, the headers, and the body where it is short."""
        lines = [f"{self.method} {self.url}", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.body:
            lines.append(_clip(self.body))
        return "\n".join(lines)

    def command(self) -> str:
        """A curl command."""
        words = ["curl", "-sS", "-i"]
        words += ["-I"] if self.method == "HEAD" else ["-X", self.method]
        words.append(self.url)
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value}"]
        feed = ""
        if len(self.body) > MAX_BODY and self.body.count(self.body[0]) == len(self.body):
            feed = f"head -c {len(self.body)} /dev/zero | tr '\\0' {shell_quote(self.body[0])} | "
            words += ["--data-binary", "@-"]
        elif self.body:
            words += ["--data-raw", self.body]
        return feed + " ".join(shell_quote(word) for word in words)


@dataclass(frozen=True, slots=True)
class SocketRequest:
    """One WebSocket connection and what was sent on it. ``None`` in ``messages`` stands for one that is too long."""

    url: str
    headers: Mapping[str, str]
    origin: str | None = None
    subprotocols: Sequence[str] = ()
    messages: Sequence[str | bytes | None] = ()

    def text(self) -> str:
        lines = [f"WEBSOCKET {self.url}"]
        if self.origin is not None:
            lines.append(f"Origin: {self.origin}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.subprotocols:
            lines.append(f"Sec-WebSocket-Protocol: {', '.join(self.subprotocols)}")
        lines += [f"sent: {_describe(message)}" for message in self.messages[:MAX_MESSAGES]]
        if len(self.messages) > MAX_MESSAGES:
            lines.append(f"and {len(self.messages) - MAX_MESSAGES} messages more")
        return "\n".join(lines)

    def command(self) -> str | None:
        """A one-liner for Python with ``websockets``; ``None`` when the conversation is too long for one.

        ``$TOKEN`` is read from the environment, so that it does not stand in the shell's history.
        """
        if len(self.messages) > MAX_MESSAGES or None in self.messages:
            return None
        arguments = [f"e({_literal(self.url)})"]
        if self.origin is not None:
            arguments.append(f"origin={_literal(self.origin)}")
        if self.headers:
            pairs = ", ".join(f"{_literal(name)}: e({_literal(value)})" for name, value in self.headers.items())
            arguments.append(f"additional_headers={{{pairs}}}")
        if self.subprotocols:
            arguments.append(f"subprotocols=[{', '.join(f'e({_literal(name)})' for name in self.subprotocols)}]")
        sends = [f"w.send({_python(message)})" for message in self.messages if message is not None]
        steps = "; ".join((f"w = connect({', '.join(arguments)})", *sends, "[print(m) for m in w]"))
        return _python_line(f"from os.path import expandvars as e; from websockets.sync.client import connect; {steps}")


def raw_command(data: bytes, host: str, port: int, *, is_tls: bool = False) -> str:
    """A one-liner for Python that writes bytes to a port and prints what comes back, until the port is closed."""
    opened = f"socket.create_connection(({_literal(host)}, {port}))"
    if is_tls:
        opened = f"ssl.create_default_context().wrap_socket({opened}, server_hostname={_literal(host)})"
    return _python_line(
        f'import socket, ssl; s = {opened}; s.sendall({data!r}); [print(d) for d in iter(lambda: s.recv(65536), b"")]'
    )


def rerun_command(check_id: str, target: str) -> str:
    """The command that runs one check again."""
    return f"voxgate gates --target {shell_quote(target)} --only {check_id}"


def _clip(text: str) -> str:
    return text if len(text) <= MAX_BODY else f"{text[:40]}… ({len(text)} characters)"


def _describe(message: str | bytes | None) -> str:
    if message is None:
        return "a message too long to show"
    return f"{len(message)} bytes" if isinstance(message, bytes) else _clip(message)


def _python(message: str | bytes) -> str:
    return repr(message) if isinstance(message, bytes) else f"e({_literal(message)})"


def _python_line(script: str) -> str:
    quoted = script.replace("'", "'\"'\"'")
    return f"python3 -c '{quoted}'"


def _literal(text: str) -> str:
    # JSON's double quotes make a Python literal that needs no escaping inside the shell's single quotes.
    return json.dumps(text, ensure_ascii=False)
