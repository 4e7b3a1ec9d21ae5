"""How long frames take, from the camera to the event. Prometheus' own histograms count; here they are also read."""

from collections.abc import Callable, Iterable
from itertools import pairwise

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric

from streamvc.node.status import Distribution
from streamvc.node.worker import Step

STAGES = ("decode", "wait", "features", "decide", "publish", "total")
# Seconds; a camera's frame is there within some ten milliseconds, and none is used beyond the staleness bound.
BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.045, 0.06, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0)


class Meter:
    """Measures what the workers do. May be used by any thread.

    Attributes:
        registry: What is measured, for Prometheus.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        words = "How long analysed frames took, by stage; `total` is capture to publish."
        self._latency = Histogram("streamvc_stage_seconds", words, ["stage"], buckets=BOUNDS_S, registry=self.registry)
        self._stages = [self._latency.labels(stage) for stage in STAGES]
        self._age = Histogram("streamvc_frame_age_seconds", "How old frames were when analysis began.", buckets=BOUNDS_S, registry=self.registry)
        self._events = Counter("streamvc_events", "Events published.", registry=self.registry)

    @property
    def latency(self) -> dict[str, Distribution]:
        """How long analysed frames took, by stage."""
        (metric,) = self._latency.collect()
        return {stage: _read(metric, {"stage": stage}) for stage in STAGES}

    @property
    def age(self) -> Distribution:
        """How old they were when their analysis began."""
        (metric,) = self._age.collect()
        return _read(metric, {})

    @property
    def num_events(self) -> int:
        """How many events were published."""
        (metric,) = self._events.collect()
        return int(metric.samples[0].value)

    def measure(self, steps: Callable[[], Iterable[Step]]) -> None:
        """Run a worker, and take in what its frames took; one that showed nothing new was not analysed."""
        for step in steps():
            if step.is_analysed:
                self._add(step)

    def _add(self, step: Step) -> None:
        moments = (step.captured, step.decoded, step.taken, step.featured, step.decided, step.published)
        spans = [after - before for before, after in pairwise(moments)]
        for stage, span_s in zip(self._stages, [*spans, step.published - step.captured], strict=True):
            stage.observe(span_s)
        self._age.observe(step.taken - step.captured)

    def published(self) -> None:
        """Take in that an event was published."""
        self._events.inc()


def _read(metric: Metric, labels: dict[str, str]) -> Distribution:
    samples = [sample for sample in metric.samples if labels.items() <= sample.labels.items()]
    at_most = [int(sample.value) for sample in samples if "le" in sample.labels]
    sum_s = next(sample.value for sample in samples if sample.name.endswith("_sum"))
    return Distribution(BOUNDS_S, tuple(after - before for before, after in pairwise((0, *at_most))), sum_s)
