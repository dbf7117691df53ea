"""The seven endpoints that PHP backends have, answered here or passed on to such a backend."""

from voxgate_responder.endpoints.call import Backend, Call, Refused
from voxgate_responder.endpoints.local import LocalStub, Verify
from voxgate_responder.endpoints.remote import PhpBackend
from voxgate_responder.endpoints.router import create_stub_router
from voxgate_responder.endpoints.store import ConversationFiles
from voxgate_responder.endpoints.table import ENDPOINTS, Endpoint

__all__ = [
    "ENDPOINTS",
    "Backend",
    "Call",
    "ConversationFiles",
    "Endpoint",
    "LocalStub",
    "PhpBackend",
    "Refused",
    "Verify",
    "create_stub_router",
]
