"""What the answer to the request being served must look like: known to the middleware, read by renderers."""

from collections.abc import Sequence
from contextvars import ContextVar

import msgspec

from voxgate_responder.envelope import instance_of

__all__ = ["OPENAI_PREFIXES", "Rendering", "current_rendering", "is_openai"]

OPENAI_PREFIXES = ("/v1/", "/openai/")
"""Paths where OpenAI's clients expect OpenAI's error shape."""


class Rendering(msgspec.Struct, frozen=True):
    """``path`` is the request's, ``openai`` the error shape, ``https`` whether TLS."""

    path: str
    openai: bool = False
    https: bool = False

    @property
    def instance(self) -> str:
        """The path as a URI reference: asked for by errors alone."""
        return instance_of(self.path)


current_rendering: ContextVar[Rendering | None] = ContextVar("voxgate_rendering", default=None)
"""Set by the middleware for the time of one request."""


def is_openai(path: str, prefixes: Sequence[str] = OPENAI_PREFIXES) -> bool:
    """Whether errors at ``path`` take OpenAI's shape."""
    return path.startswith(tuple(prefixes))
