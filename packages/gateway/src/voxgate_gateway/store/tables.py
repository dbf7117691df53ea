"""The tables of the conversation store. Times are seconds since the epoch; ids of events tell a retried row from a new one.

Everything about one conversation hangs on its session's row and goes with it. Audit lines hang on nothing, and stay: they
tell what was erased, by whom, and of whom. A subject stands there as its SHA-256 without salt, so that the same subject can
be looked for again. That hides it from a reader, and not from somebody who guesses: it is a pseudonym, personal data still.
"""

from sqlalchemy import BigInteger, Boolean, Double, ForeignKey, Index, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["AuditLine", "Base", "Session", "ToolCall", "Transcript", "Turn"]


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can name it too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
        }
    )
    type_annotation_map = {float: Double(), int: BigInteger()}


class Session(Base):
    """One session. ``mode`` is how much of it is kept. ``ended_event`` is the event that told its last end.

    One token may open several connections of one session: numbers are sums over them, the rest is of the last one.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "subject", "started_at", "id"), Index(None, "started_at", "id"))

    id: Mapped[str] = mapped_column(String(256), primary_key=True)
    subject: Mapped[str] = mapped_column(String(256))
    mode: Mapped[str] = mapped_column(String(16))
    origin: Mapped[str | None] = mapped_column(Text)
    dialect: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[float]
    ended_at: Mapped[float | None]
    ended_event: Mapped[str | None] = mapped_column(String(64))
    close_code: Mapped[int | None] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(server_default="0")
    turns: Mapped[int] = mapped_column(server_default="0")
    client_messages: Mapped[int] = mapped_column(server_default="0")
    client_bytes: Mapped[int] = mapped_column(server_default="0")
    upstream_messages: Mapped[int] = mapped_column(server_default="0")
    upstream_bytes: Mapped[int] = mapped_column(server_default="0")
    input_tokens: Mapped[int] = mapped_column(server_default="0")
    output_tokens: Mapped[int] = mapped_column(server_default="0")
    total_tokens: Mapped[int] = mapped_column(server_default="0")


class Turn(Base):
    """One response of the model. ``milliseconds`` from the user's last word to its first sound."""

    __tablename__ = "turns"
    __table_args__ = (Index(None, "session_id", "at", "event_id"),)

    event_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    at: Mapped[float]
    turn: Mapped[int | None]
    response_id: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str | None] = mapped_column(Text)
    milliseconds: Mapped[int | None]
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    total_tokens: Mapped[int | None]


class Transcript(Base):
    """What one of the two said. ``text`` is null when only metadata is kept; ``redacted`` when something was taken out."""

    __tablename__ = "transcripts"
    __table_args__ = (Index(None, "session_id", "at", "event_id"),)

    event_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    at: Mapped[float]
    turn: Mapped[int | None]
    role: Mapped[str] = mapped_column(String(16))
    text: Mapped[str | None] = mapped_column(Text)
    redacted: Mapped[bool] = mapped_column(Boolean)
    truncated: Mapped[bool] = mapped_column(Boolean)


class ToolCall(Base):
    """A function the model called. ``arguments`` is JSON text, or what is left of it; null as in a transcript."""

    __tablename__ = "tool_calls"
    __table_args__ = (Index(None, "session_id", "at", "event_id"),)

    event_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    at: Mapped[float]
    call_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    arguments: Mapped[str | None] = mapped_column(Text)
    redacted: Mapped[bool] = mapped_column(Boolean)
    truncated: Mapped[bool] = mapped_column(Boolean)


class AuditLine(Base):
    """One export, erasure or deletion. The last two are obeyed too: what was on its way to a table does not come back.

    ``what`` is ``export``, ``erase`` or ``delete``; ``target`` the SHA-256 of the subject, in hex, or the session's id.
    The rest counts the rows.
    """

    __tablename__ = "audit"
    __table_args__ = (Index(None, "target"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[float]
    who: Mapped[str] = mapped_column(String(256))
    what: Mapped[str] = mapped_column(String(16))
    target: Mapped[str] = mapped_column(String(256))
    sessions: Mapped[int]
    turns: Mapped[int]
    transcripts: Mapped[int]
    tool_calls: Mapped[int]
