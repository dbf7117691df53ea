"""Health checks, metrics, uptime, JSON logs with trace ids and without secrets, and retention."""

from voxgate_observability.catalogue import METRICS, Histogram, Kind, Metric
from voxgate_observability.health import Health, HealthCheck, Phase
from voxgate_observability.logs import HumanFormatter, JsonFormatter, configure
from voxgate_observability.redaction import REDACTED, Redactor, redact

__all__ = [
    "METRICS",
    "REDACTED",
    "Health",
    "HealthCheck",
    "Histogram",
    "HumanFormatter",
    "JsonFormatter",
    "Kind",
    "Metric",
    "Phase",
    "Redactor",
    "__version__",
    "configure",
    "redact",
]

__version__ = "0.2.0rc2"
