"""Every bound of the relay, named in one place."""

from dataclasses import dataclass

__all__ = ["RelayLimits"]

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """Sizes are bytes, times are seconds, counts are per process unless said otherwise."""

    max_sessions: int = 1000
    """Sockets in any state; the next one is closed 1013."""

    max_unauthenticated: int = 256
    """Sockets that brought no credential along and have shown none yet; the next such one is closed 1013."""

    auth_timeout: float = 5.0
    """From accept to a valid credential; then 4001."""

    auth_bytes: int = 16 * KIB
    """Bytes a socket may send before it has shown a credential; then 1009."""

    max_message: int = 16 * MIB
    """One message, its fragments joined: 15 MiB of append and its JSON. Over it: 1009."""

    pending_messages: int = 1024
    """Client messages held while the upstream connects; then the client is not read from."""

    pending_bytes: int = 1 * MIB
    """Bytes of the same."""

    high_water: int = 256 * KIB
    """Unsent bytes towards one side at which the other side is no longer read from."""

    receive_buffer: int = 512 * KIB
    """What the kernel may hold of one side's bytes; one read hands over no more, so it bounds what may arrive after
    reading was paused."""

    stall_timeout: float = 30.0
    """How long one side may leave us above the high-water mark; then it is cut."""

    connect_timeout: float = 10.0
    """Reaching the upstream, TLS and WebSocket handshake included; then 1013."""

    close_timeout: float = 2.0
    """How long the peer may take to answer a close frame; then the connection is aborted."""

    ping_interval: float = 20.0
    """A side that sent no byte for one interval is pinged; one that sent none for two is taken for dead."""

    session_seconds: float = 3600.0
    """The longest session; then 1001, as the OpenAI Realtime API does."""

    max_sessions_per_token: int = 16
    """Connections that one token may have open at a time, where a token opens several; the next is closed 4029."""

    resume_grace: float = 30.0
    """How long a native session waits for a client whose connection broke; 0 ends it at once."""

    resume_bytes: int = 1 * MIB
    """Latest upstream messages of one session, kept for a client that comes back. While it is away, half of this is
    read from the upstream, and the rest left to TCP's back-pressure."""

    resume_messages: int = 4096
    """How many messages that may be."""

    resume_total_bytes: int = 256 * MIB
    """The same of all sessions together; over it, those that hold more than an equal share lose their oldest."""

    max_detached: int = 256
    """Sessions that wait for their client, beside ``max_sessions``; one more, and the longest waiting is ended."""
