"""One envelope for every answer: success, problem details, security headers."""

from voxgate_responder.context import OPENAI_PREFIXES, Rendering, current_rendering, is_openai
from voxgate_responder.envelope import encode, instance_of, openai_error_body, problem_body, success_body
from voxgate_responder.handlers import REFUSAL_KEY, install
from voxgate_responder.headers import SECURITY_HEADERS, security_headers
from voxgate_responder.http import HEADER_TIMEOUT, MAX_HEAD, EnvelopeHttpProtocol, http_protocol
from voxgate_responder.middleware import BODY_LIMIT, BODY_TIMEOUT, EnvelopeMiddleware
from voxgate_responder.problem import code_of_status, problem_of
from voxgate_responder.refusal import HttpRefusal, refusal, trace_headers
from voxgate_responder.responses import error_response, json_error, json_success, respond
from voxgate_responder.schemas import load_schema

__all__ = [
    "BODY_LIMIT",
    "BODY_TIMEOUT",
    "HEADER_TIMEOUT",
    "MAX_HEAD",
    "OPENAI_PREFIXES",
    "REFUSAL_KEY",
    "SECURITY_HEADERS",
    "EnvelopeHttpProtocol",
    "EnvelopeMiddleware",
    "HttpRefusal",
    "Rendering",
    "__version__",
    "code_of_status",
    "current_rendering",
    "encode",
    "error_response",
    "http_protocol",
    "install",
    "instance_of",
    "is_openai",
    "json_error",
    "json_success",
    "load_schema",
    "openai_error_body",
    "problem_body",
    "problem_of",
    "refusal",
    "respond",
    "security_headers",
    "success_body",
    "trace_headers",
]

__version__ = "0.2.0rc2"
