"""Every metric of /metrics."""

from collections.abc import Iterator

from reference_pages.markdown import heading, table
from voxgate_observability import METRICS

__all__ = ["metrics"]


def metrics() -> Iterator[str]:
    """Every metric of /metrics."""
    yield from heading("Metrics")
    yield "What `/metrics` shows, in Prometheus's text format, beside the usual figures of the process. One"
    yield "without labels stands at 0 until something happens; one with labels may appear with the first thing that it counts."
    yield "[Observability](../OBSERVABILITY.md#metrics) says who may read it and what to watch."
    yield ""
    rows = ((f"`{m.name}`", str(m.kind), ", ".join(f"`{label}`" for label in m.labels), m.help) for m in METRICS)
    yield from table(("metric", "type", "labels", "meaning"), rows)
