"""JSON logs with trace ids, and redaction of secrets in the final line."""

from voxgate_observability.logs import HumanFormatter, JsonFormatter, configure
from voxgate_observability.redaction import REDACTED, Redactor, redact

__all__ = ["REDACTED", "HumanFormatter", "JsonFormatter", "Redactor", "__version__", "configure", "redact"]

__version__ = "0.2.0rc2"
