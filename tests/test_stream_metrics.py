import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from streamvc.stream_metrics import (
    OVERLAPS,
    EvaluatedStream,
    Segment,
    StreamEvent,
    accuracy_by_tenth,
    active_labels,
    average_precision,
    delay_s,
    event_figures,
    false_events_per_hour,
    first_right_s,
    flips_per_min,
    frame_map,
    match,
    measure_streams,
    temporal_overlap,
)

NUM_LABELS = 3
WALK, FALL, NOTHING = range(NUM_LABELS)


def stream(segments: list[Segment], events: list[StreamEvent], best: str = "", duration_s: float | None = None) -> EvaluatedStream:
    """A stream of one prediction a second, from second 0, whose best labels are spelt as W, F and N."""
    scores = np.array([np.where(np.arange(NUM_LABELS) == "WFN".index(letter), 0.8, 0.1) for letter in best], np.float32).reshape(-1, NUM_LABELS)
    timestamps = np.arange(len(best), dtype=np.float64)
    return EvaluatedStream(tuple(segments), duration_s or float(len(best)), timestamps, scores, scores, tuple(events))


def event(label: int, start_s: float, end_s: float, published_s: float | None = None) -> StreamEvent:
    return StreamEvent(label, start_s, end_s, start_s if published_s is None else published_s)


seconds = st.floats(0, 100).map(lambda second: round(second, 1))
spans = st.tuples(seconds, seconds).filter(lambda span: span[0] != span[1]).map(sorted)
labels = st.integers(0, NUM_LABELS - 1)
segments = st.lists(st.builds(lambda label, span: Segment(label, *span), labels, spans), max_size=6)
events = st.lists(st.builds(lambda label, span: event(label, *span), labels, spans), max_size=6)
streams = st.lists(st.builds(lambda truth, said: stream(truth, said, duration_s=100.0), segments, events), min_size=1, max_size=3)


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1).filter(lambda rows: any(true for _, true in rows)))
def test_average_precision_agrees_with_scikit_learn_also_where_scores_are_equal(rows: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([score / 8 for score, _ in rows], np.float32), np.array([true for _, true in rows])
    assert average_precision(scores, truth) == pytest.approx(average_precision_score(truth, scores))


@given(st.integers(0, 1000))
def test_frame_map_is_that_of_scikit_learn_over_the_labels_that_occur(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(2):
        starts = rng.uniform(0, 30, 5)
        truth = tuple(Segment(int(rng.integers(2)), start, start + rng.uniform(1, 8)) for start in starts)
        scores = rng.dirichlet(np.ones(NUM_LABELS), 200).round(1).astype(np.float32)
        made.append(EvaluatedStream(truth, 40.0, np.arange(200) / 5, scores, scores, ()))
    truth_of = np.concatenate([active_labels(one) for one in made])
    scores_of = np.concatenate([one.scores for one in made])
    occurring = [label for label in range(NUM_LABELS) if truth_of[:, label].any()]
    assert NOTHING not in occurring
    expected = average_precision_score(truth_of[:, occurring], scores_of[:, occurring], average="macro")
    assert frame_map(made) == pytest.approx(expected)


def test_a_prediction_belongs_to_the_segments_around_it_and_the_end_is_not_in_it() -> None:
    active = active_labels(stream([Segment(WALK, 1.0, 3.0), Segment(FALL, 2.0, 4.0)], [], "NNNNN"))
    assert active[:, WALK].tolist() == [False, True, True, False, False]
    assert active[:, FALL].tolist() == [False, False, True, True, False]
    assert not active[:, NOTHING].any()


def test_overlap_is_what_is_shared_over_what_is_covered() -> None:
    assert temporal_overlap(event(WALK, 0, 4), Segment(WALK, 2, 6)) == pytest.approx(2 / 6)
    assert temporal_overlap(event(WALK, 1, 2), Segment(WALK, 0, 4)) == 0.25
    assert temporal_overlap(event(WALK, 0, 2), Segment(WALK, 2, 4)) == 0.0
    assert temporal_overlap(event(WALK, 2, 2), Segment(WALK, 2, 2)) == 0.0


def test_events_are_matched_to_what_they_overlap_most() -> None:
    first, second = Segment(WALK, 0, 10), Segment(WALK, 12, 20)
    wide, close = event(WALK, 0, 19), event(WALK, 1, 10)
    found = stream([first, second], [wide, close], duration_s=20)
    assert [(pair.event, pair.segment) for pair in match(found, 0.1)] == [(close, first), (wide, second)]
    assert [pair.event for pair in match(found, 0.5)] == [close]  # the wide one has 7 of 20 seconds of the second


def test_an_event_of_another_label_is_no_match_and_one_segment_takes_one_event() -> None:
    found = [stream([Segment(WALK, 0, 10), Segment(FALL, 20, 22)], [event(WALK, 0, 5), event(WALK, 5.5, 10), event(WALK, 20, 22)])]
    figures = event_figures(found, 0.3)
    assert (figures.precision, figures.recall, figures.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))
    nothing = event_figures([stream([], [])], 0.3)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0.0, 0.0, 0.0)


@given(streams)
def test_more_is_matched_at_a_lower_overlap_and_figures_are_shares(found: list[EvaluatedStream]) -> None:
    for one in found:
        loose, medium, strict = ({(id(pair.event), id(pair.segment)) for pair in match(one, overlap)} for overlap in OVERLAPS)
        assert strict <= medium <= loose
        for pairs in (loose, medium, strict):
            assert len({first for first, _ in pairs}) == len({second for _, second in pairs}) == len(pairs)
    for overlap in OVERLAPS:
        figures = event_figures(found, overlap)
        assert 0 <= min(figures.precision, figures.recall) <= figures.f1 <= max(figures.precision, figures.recall) <= 1


@given(st.lists(st.builds(lambda truth: stream(truth, [event(each.label, each.start_s, each.end_s) for each in truth], duration_s=100), segments)))
def test_events_that_tell_the_truth_are_all_right(found: list[EvaluatedStream]) -> None:
    num = sum(len(one.segments) for one in found)
    if num:
        assert event_figures(found, 0.5).f1 == 1.0
        assert delay_s(found) == 0.0
        assert false_events_per_hour(found) == 0.0


@given(streams)
def test_the_order_of_segments_events_and_streams_changes_nothing(found: list[EvaluatedStream]) -> None:
    turned = [stream(list(one.segments[::-1]), list(one.events[::-1]), duration_s=one.duration_s) for one in found[::-1]]
    for overlap in OVERLAPS:
        assert event_figures(turned, overlap) == event_figures(found, overlap)
    assert false_events_per_hour(turned) == pytest.approx(false_events_per_hour(found))


def test_delay_is_counted_to_the_moment_of_publication() -> None:
    found = stream(
        [Segment(WALK, 0, 10), Segment(FALL, 10, 20), Segment(WALK, 30, 40)],
        [event(WALK, 1, 9, published_s=1.5), event(FALL, 9, 20, published_s=9.5), event(WALK, 33, 40, published_s=34), event(FALL, 50, 51, 60)],
    )
    assert delay_s([found]) == pytest.approx(1.5)  # of 1.5, -0.5 and 4
    assert np.isnan(delay_s([stream([Segment(WALK, 0, 10)], [])]))


def test_the_first_right_prediction_must_lie_within_the_segment() -> None:
    found = stream([Segment(WALK, 0.5, 3.0), Segment(FALL, 3.0, 6.0)], [], "WFWWNF")
    assert first_right_s([found]) == pytest.approx((1.5 + 2.0) / 2)
    assert first_right_s([found, stream([Segment(FALL, 0, 2)], [], "NN"), stream([Segment(FALL, 0, 2)], [], "WW")]) == float("inf")
    assert np.isnan(first_right_s([stream([], [], "NN")]))


def test_flips_are_counted_per_minute_of_video() -> None:
    assert flips_per_min([stream([], [], "WWFFNW", duration_s=30), stream([], [], "WW", duration_s=60)]) == pytest.approx(3 / 1.5)


def test_an_event_is_false_if_it_meets_no_segment_of_its_label() -> None:
    found = stream(
        [Segment(WALK, 10, 20)],
        [event(WALK, 19.9, 80), event(WALK, 20, 21), event(FALL, 10, 20), event(WALK, 5, 10)],
        duration_s=1800,
    )
    assert false_events_per_hour([found]) == pytest.approx(6.0)


def test_accuracy_by_tenth_asks_for_the_last_prediction_before_each() -> None:
    late = stream([Segment(WALK, 0, 10)], [], "NNNNNWWWWWW")  # predictions at 0, 1, ... 10 s; right from second 5 on
    never = stream([Segment(FALL, 0, 10)], [], "WWWWWWWWWW")
    assert accuracy_by_tenth([late]).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert accuracy_by_tenth([late, never]).tolist() == [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    scores = np.array([[0.9, 0.1, 0.0]], np.float32)
    warming_up = EvaluatedStream((Segment(WALK, 0, 10),), 10.0, np.array([3.0]), scores, scores, ())
    assert accuracy_by_tenth([warming_up]).tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert np.isnan(accuracy_by_tenth([stream([], [], "NN")])).all()


def test_all_figures_are_of_all_streams_together() -> None:
    quiet = stream([], [], "NNNN")
    busy = stream([Segment(WALK, 1, 3)], [event(WALK, 1, 3, published_s=2)], "NWWN")
    figures = measure_streams([quiet, busy])
    assert figures.frame_map == 1.0
    assert [figures.events[overlap].f1 for overlap in OVERLAPS] == [1.0, 1.0, 1.0]
    assert (figures.delay_s, figures.first_right_s, figures.flips_per_min, figures.false_events_per_hour) == pytest.approx((1.0, 0.0, 15.0, 0.0))
    nothing = measure_streams([quiet])
    assert np.isnan([nothing.frame_map, nothing.delay_s, *nothing.accuracy_by_tenth]).all()
