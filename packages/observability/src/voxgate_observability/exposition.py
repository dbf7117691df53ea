"""What is scraped: figures read at that moment, in Prometheus's text format, by the official client library.

Source: Prometheus text exposition format 0.0.4. A registry of our own is used: the library's global one would add what
others register, and its counters cost a lock and a label look-up each time they are touched.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from voxgate_observability.catalogue import METRICS, Histogram, Kind, Metric

__all__ = ["CONTENT_TYPE", "Exposition", "Reading", "Source"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of a metric of the catalogue; ``labels`` stand in the order that the catalogue gives."""

    name: str
    value: float | Histogram
    labels: tuple[str, ...] = ()


Source: TypeAlias = Callable[[], Iterable[Reading]]
"""Reads figures; called on the event loop for each scrape, so it must not wait."""


class Exposition:
    """Renders what ``sources`` read. ``worker`` labels every figure where several processes share one address."""

    def __init__(self, sources: Iterable[Source], *, worker: str = "") -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Figures(tuple(sources), worker))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def text(self) -> bytes:
        """The whole page. Raises ``KeyError`` for a reading that the catalogue does not know."""
        return generate_latest(self._registry)


class _Figures(Collector):
    def __init__(self, sources: tuple[Source, ...], worker: str) -> None:
        self._sources = sources
        self._worker = worker

    def collect(self) -> Iterator[Family]:
        found: dict[str, list[Reading]] = {name: [] for name in _BY_NAME}
        for source in self._sources:
            for reading in source():
                found[reading.name].append(reading)
        for metric in METRICS:
            if found[metric.name]:
                yield self._family(metric, found[metric.name])

    def _family(self, metric: Metric, readings: list[Reading]) -> Family:
        names = [*metric.labels, *(["worker"] if self._worker else [])]
        more = (self._worker,) if self._worker else ()
        family: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
        match metric.kind:
            case Kind.COUNTER:
                family = CounterMetricFamily(metric.name, metric.help, labels=names)
            case Kind.GAUGE:
                family = GaugeMetricFamily(metric.name, metric.help, labels=names)
            case Kind.HISTOGRAM:
                family = HistogramMetricFamily(metric.name, metric.help, labels=names)
        for reading in readings:
            labels = [*reading.labels, *more]
            if isinstance(reading.value, Histogram):
                assert isinstance(family, HistogramMetricFamily)
                family.add_metric(labels, buckets=reading.value.cumulative(), sum_value=reading.value.total)
            else:
                assert not isinstance(family, HistogramMetricFamily)
                family.add_metric(labels, reading.value)
        return family
