"""One call of an endpoint, and who answers it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from voxgate_core import Answer, Trace, VoxgateError
from voxgate_responder.endpoints.table import EVENT_TYPE, Endpoint

__all__ = ["Backend", "Call", "Refused"]


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, not judged yet. ``query`` is as it was sent; header names are in lower case."""

    endpoint: Endpoint
    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    trace: Trace

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_event(self) -> bool:
        """Whether the body is said to be a voice event, at an endpoint that takes them."""
        return self.endpoint.takes_events and self.content_type == EVENT_TYPE


class Refused(Exception):
    """A refusal whose HTTP status is not the one of its row in the error table."""

    def __init__(self, error: VoxgateError, status: int) -> None:
        self.error = error
        self.status = status
        super().__init__(f"{error.code} as HTTP {status}")


class Backend(Protocol):
    """Answers calls: the stub in this process, or a PHP backend elsewhere."""

    def believes(self, call: Call) -> bool:
        """Whether :meth:`answer` verifies who sent this call, so that the gateway need not."""
        ...

    async def answer(self, call: Call) -> Answer:
        """Answer, or raise :class:`VoxgateError` or :class:`Refused`."""
        ...
