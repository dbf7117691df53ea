"""The one exception for a client event that can't be done."""

__all__ = ["Fault"]


class Fault(Exception):
    """A refusal, with the fields of the protocol's ``error`` event.

    ``param`` is the path of the offending field, ``event_id`` the client's own id of its event, ``kind``
    the error's ``type``.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        event_id: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        self.code = code
        self.message = message
        self.param = param
        self.event_id = event_id
        self.kind = kind
        super().__init__(f"{code}: {message}")
