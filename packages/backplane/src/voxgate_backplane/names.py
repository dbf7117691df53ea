"""What streams, buckets and subjects are called, and which texts may be part of a subject. Pure.

One deployment has one prefix, so that several can share a NATS cluster. A subject's tokens are joined by dots (NATS
subject naming, https://docs.nats.io/nats-concepts/subjects).
"""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_KEY", "Names", "check_key", "check_token"]

MAX_KEY: Final = 256
"""Characters of a key; longer ones are refused, as each is a subject that the server keeps in memory."""

MAX_TOKEN: Final = 128
"""Characters of a lane's name or a job's id."""

_KEY: Final = re.compile(r"[A-Za-z0-9_=/-]+(?:\.[A-Za-z0-9_=/-]+)*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+")


def check_key(key: str) -> str:
    """``key`` itself. Raises ``ValueError`` for one that can't be a subject of NATS."""
    if len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise ValueError(
            f"a key has at most {MAX_KEY} letters, digits, '-', '_', '=', '/', and single dots between them"
        )
    return key


def check_token(token: str) -> str:
    """``token`` itself. Raises ``ValueError`` for one that can't be a single token of a subject."""
    if len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise ValueError(f"the name of a lane or job has at most {MAX_TOKEN} letters, digits, '-' and '_'")
    return token


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that has a name in NATS.

    Raises ``ValueError`` for a prefix that is no token, or begins with ``KV_``: the stream of its jobs could be the
    bucket of another deployment.
    """

    prefix: str = "voxgate"

    def __post_init__(self) -> None:
        if check_token(self.prefix).startswith("KV_"):
            raise ValueError("the prefix of a deployment does not begin with KV_")

    @property
    def bucket_stream(self) -> str:
        """The stream of the key-value bucket, which the command line tool ``nats kv`` knows under the prefix alone."""
        return f"KV_{self.prefix}"

    def key_subject(self, key: str) -> str:
        return f"$KV.{self.prefix}.{key}"

    @property
    def jobs_stream(self) -> str:
        return f"{self.prefix}-jobs"

    def job_subject(self, lane: str) -> str:
        return f"{self.prefix}.job.{lane}"

    def later_subject(self, lane: str, uid: str) -> str:
        """Where a job waits for its moment; ``*`` as ``uid`` stands for all of the lane."""
        return f"{self.prefix}.later.{lane}.{uid}"

    @property
    def dead_stream(self) -> str:
        return f"{self.prefix}-dead"

    def dead_subject(self, lane: str, job: str) -> str:
        """Where a dead letter lies; ``*`` stands for any lane or job."""
        return f"{self.prefix}.dead.{lane}.{job}"
