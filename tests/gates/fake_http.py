"""What the fakes' HTTP halves pass to each other."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Refusal", "Request", "Response"]


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def origin(self) -> str | None:
        return self.headers.get("origin")


@dataclass
class Response:
    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)
    plain: bool = False


class Refusal(Exception):
    def __init__(self, status: int, code: str, **headers: str) -> None:
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(code)
