"""How long frames take, from the camera to the event."""

from collections.abc import Callable, Iterable
from itertools import pairwise

from streamvc.node.histogram import Distribution, Histogram
from streamvc.node.worker import Step

STAGES = ("decode", "wait", "features", "decide", "publish", "total")


class Meter:
    """Measures what one worker does. `measure` is for its thread, the rest for any."""

    def __init__(self) -> None:
        self._stages = {stage: Histogram() for stage in STAGES}
        self._age = Histogram()
        self.num_events = 0  # published

    @property
    def latency(self) -> dict[str, Distribution]:
        """How long analysed frames took, by stage."""
        return {stage: histogram.value for stage, histogram in self._stages.items()}

    @property
    def age(self) -> Distribution:
        """How old they were when their analysis began."""
        return self._age.value

    def measure(self, steps: Callable[[], Iterable[Step]]) -> None:
        """Run a worker, and take in what its frames took; one that showed nothing new was not analysed."""
        for step in steps():
            if step.is_analysed:
                self._add(step)

    def _add(self, step: Step) -> None:
        moments = (step.captured, step.decoded, step.taken, step.featured, step.decided, step.published)
        spans = [after - before for before, after in pairwise(moments)]
        for stage, span_s in zip(STAGES, [*spans, step.published - step.captured], strict=True):
            self._stages[stage].add(span_s)
        self._age.add(step.taken - step.captured)


def together(distributions: Iterable[Distribution]) -> Distribution:
    """Several of the same bounds as one.

    Raises:
        ValueError: There is none.
    """
    first, *others = distributions
    counts = (first.counts, *(other.counts for other in others))
    return Distribution(first.bounds_s, tuple(map(sum, zip(*counts, strict=True))), first.sum_s + sum(other.sum_s for other in others))
