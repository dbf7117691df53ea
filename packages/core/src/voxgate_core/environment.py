"""The three environments, and what differs between them by rule rather than by setting."""

from enum import StrEnum

__all__ = ["Environment"]


class Environment(StrEnum):
    """Where this process runs. ``token_ttl`` is the longest life of a token, in seconds."""

    DEV = "dev"
    PREVIEW = "preview"
    PROD = "prod"

    @property
    def token_ttl(self) -> int:
        return 600 if self is Environment.DEV else 300

    @property
    def allows_loopback_origins(self) -> bool:
        return self is not Environment.PROD

    @property
    def allows_wildcard_origins(self) -> bool:
        return self is not Environment.PROD
