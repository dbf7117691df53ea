"""What happens to sessions, one log line each, so that an operator sees what clients see."""

import logging

from voxgate_core import Grant, ResumeOutcome, SessionClosed, VoxgateError

__all__ = ["SessionLog"]

logger = logging.getLogger("voxgate.sessions")


class SessionLog:
    """Core's ``SessionObserver`` as log lines. The relay calls it in the trace of the session."""

    def opened(self, grant: Grant) -> None:
        logger.info("session opened", extra={"session": grant.session_id, "subject": grant.subject})

    def detached(self, grant: Grant) -> None:
        logger.info("session waits for its client", extra={"session": grant.session_id})

    def resume_asked(self, grant: Grant, outcome: ResumeOutcome) -> None:
        # Of a session that is not known, the client's word is not written down.
        session = None if outcome is ResumeOutcome.UNKNOWN else grant.session_id
        logger.info("session asked back", extra={"session": session, "outcome": outcome.value})

    def refused(self, error: VoxgateError) -> None:
        logger.info("session refused", extra={"code": error.code, "close_code": error.kind.close_code})

    def closed(self, summary: SessionClosed) -> None:
        extra = {
            "session": summary.session_id,
            "close_code": summary.code,
            "reason": summary.reason,
            "seconds": round(summary.seconds, 3),
            "client_messages": summary.client_messages,
            "upstream_messages": summary.upstream_messages,
        }
        logger.info("session closed", extra=extra)
