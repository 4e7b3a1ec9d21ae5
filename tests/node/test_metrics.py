from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from streamvc.node.metrics import Metrics
from tests.node.statuses import SNAPSHOT, meter

Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture(scope="module")
def samples() -> dict[Sample, float]:
    """What Prometheus reads of the example: values by name and labels."""
    measured = meter((0.003, 0.004), (0.004, 0.004), (3.0, 0.007))
    for _ in range(17):
        measured.published()
    assert measured.num_events == 17
    families = text_string_to_metric_families(Metrics(lambda: SNAPSHOT, measured.registry).text().decode())
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def of(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def test_counts_and_rates_are_told_for_each_camera(samples: dict[Sample, float]) -> None:
    assert samples[of("streamvc_camera_frames_received_total", camera="yard")] == 1000
    assert samples[of("streamvc_camera_frames_analysed_total", camera="yard")] == 150
    assert samples[of("streamvc_camera_frames_still_total", camera="yard")] == 40
    assert samples[of("streamvc_camera_frames_dropped_total", camera="yard", reason="stale")] == 3
    assert samples[of("streamvc_camera_analysed_hz", camera="yard")] == 4.9
    assert samples[of("streamvc_camera_decoder_memory_bytes", camera="gate")] == 0
    assert samples[of("streamvc_camera_connections_total", camera="gate")] == 5


def test_each_camera_is_in_one_state(samples: dict[Sample, float]) -> None:
    def states(camera: str) -> Iterator[str]:
        for (name, labels), value in samples.items():
            if name == "streamvc_camera_state" and ("camera", camera) in labels and value:
                yield dict(labels)["state"]

    assert [list(states("yard")), list(states("gate"))] == [["running"], ["lost"]]
    assert samples[of("streamvc_cameras", state="running")] == 1
    assert samples[of("streamvc_cameras", state="frozen")] == 0


def test_durations_are_histograms(samples: dict[Sample, float]) -> None:
    def at_most(bound: str) -> float:
        return samples[of("streamvc_stage_seconds_bucket", stage="features", le=bound)]

    assert [at_most("0.002"), at_most("0.005"), at_most("0.01"), at_most("+Inf")] == [0, 2, 3, 3]
    assert samples[of("streamvc_stage_seconds_sum", stage="features")] == pytest.approx(0.015)
    assert samples[of("streamvc_frame_age_seconds_bucket", le="2.0")] == 2
    assert samples[of("streamvc_frame_age_seconds_count")] == 3


def test_the_node_and_its_process_are_told(samples: dict[Sample, float]) -> None:
    assert samples[of("streamvc_node_info", site="shop", node="node-1", version="1.0")] == 1
    assert samples[of("streamvc_node_degraded")] == 0
    assert samples[of("streamvc_events_total")] == 17
    assert samples[of("process_resident_memory_bytes")] > 0


def test_metrics_ask_for_a_status_only_when_they_are_read() -> None:
    asked: list[int] = []
    metrics = Metrics(lambda: asked.append(1) or SNAPSHOT, CollectorRegistry())  # type: ignore[func-returns-value]
    assert not asked
    metrics.text()
    assert len(asked) == 1
