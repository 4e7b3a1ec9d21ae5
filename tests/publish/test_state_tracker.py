from dataclasses import replace

from streamvc.events import Health, State, Status
from streamvc.publish.state_tracker import StateTracker
from tests.publish.samples import START, update

OTHER = replace(START, event_id="other", label="Lunges")


def health(status: Status) -> Health:
    return Health("front_door", status, None, None, None, None, 0, seq=None, epoch=None)


def labels(state: State | None) -> list[str] | None:
    return None if state is None else [activity.label for activity in state.activities]


def test_activities_come_and_go_each_by_itself() -> None:
    states = StateTracker()
    steps = [START, update(1.0), OTHER, replace(START, phase="end"), replace(OTHER, phase="end"), replace(OTHER, phase="end")]
    assert [labels(states.take_event(event)) for event in steps] == [["PushUps"], None, ["PushUps", "Lunges"], ["Lunges"], [], None]


def test_an_update_of_what_was_not_seen_to_begin_counts_as_its_beginning() -> None:
    assert labels(StateTracker().take_event(update(1.0))) == ["PushUps"]


def test_an_update_of_a_known_activity_is_no_new_state_whatever_its_score() -> None:
    states = StateTracker()
    states.take_event(START)
    assert states.take_event(replace(update(1.0), score=START.score / 2)) is None


def test_health_is_part_of_the_state_and_repeats_are_not() -> None:
    states = StateTracker()
    states.take_event(START)
    found = [states.take_health(health(status)) for status in ("up", "up", "stalled", "down")]
    assert [state and (state.status, labels(state)) for state in found] == [
        ("up", ["PushUps"]),
        None,
        ("stalled", ["PushUps"]),
        ("down", ["PushUps"]),
    ]


def test_cameras_have_states_of_their_own() -> None:
    states = StateTracker()
    states.take_event(START)
    state = states.take_event(replace(START, camera="yard", event_id="yard"))
    assert state is not None
    assert (state.camera, labels(state)) == ("yard", ["PushUps"])


def test_what_was_true_before_a_restart_is_no_more() -> None:
    running = StateTracker().take_event(START)
    assert running is not None
    states = StateTracker([replace(running, seq=5, epoch=7), State("yard", "up", (), seq=1, epoch=7)])
    assert states.clear() == [State("front_door", None, (), seq=None, epoch=None)]
    assert states.clear() == []
