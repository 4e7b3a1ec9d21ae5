"""The state of each camera, from its events and its health. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from streamvc.events import Activity, Event, Health, State


class StateTracker:
    """Follows all cameras. Each method returns the camera's new state, or None where it has not changed."""

    def __init__(self, states: Iterable[State] = ()) -> None:
        """Start with these states, which were published before."""
        self._states = {state.camera: replace(state, seq=None, epoch=None) for state in states}

    def take_event(self, event: Event) -> State | None:
        """An activity begins or ends. An update of a known activity changes nothing."""
        state = self._state(event.camera)
        others = tuple(activity for activity in state.activities if activity.event_id != event.event_id)
        if event.phase == "end":
            return self._changed(replace(state, activities=others))
        if len(others) < len(state.activities):
            return None
        begun = Activity(event.event_id, event.label, event.subject, event.score, event.t_start, event.stream_start_s)
        return self._changed(replace(state, activities=(*others, begun)))

    def take_health(self, health: Health) -> State | None:
        """A camera has a new status."""
        return self._changed(replace(self._state(health.camera), status=health.status))

    def clear(self) -> list[State]:
        """End all activities; returns the new states of the cameras that had any."""
        cleared = [replace(state, activities=()) for state in self._states.values() if state.activities]
        self._states.update((state.camera, state) for state in cleared)
        return cleared

    def _state(self, camera: str) -> State:
        return self._states.get(camera) or State(camera, None, (), None, None)

    def _changed(self, state: State) -> State | None:
        if state == self._states.get(state.camera):
            return None
        self._states[state.camera] = state
        return state
