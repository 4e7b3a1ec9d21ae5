from collections import Counter
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.events import Reason
from streamvc.node.scheduler import Counts, FrameScheduler, Work
from streamvc.node.settings import Priority
from streamvc.threads import ChannelClosed, Worker
from tests.node.arrivals import arrival

AGES_S = 1000.0  # a bound on staleness that nothing here reaches


def due_frames(*cameras: str, staleness_s: float = AGES_S) -> FrameScheduler[str]:
    due: FrameScheduler[str] = FrameScheduler(staleness_s)
    for camera in cameras:
        due.add(camera, f"session of {camera}", worker=0, period_s=0.2)
    return due


def take(due: FrameScheduler[str], worker: int = 0) -> Work[str]:
    work = due.take(worker)
    assert work
    return work


def index(work: Work[str]) -> int:
    assert work.arrival
    return work.arrival.due.index


def rest(due: FrameScheduler[str], worker: int = 0) -> list[Work[str]]:
    """What is left, after it was closed."""
    due.close()
    return list(iter(lambda: due.take(worker), None))


def test_the_newest_frame_waits_and_the_one_before_is_given_back() -> None:
    due, released = due_frames("yard"), list[int]()
    for number in range(3):
        due.offer("yard", arrival(number, release=lambda number=number: released.append(number)))  # type: ignore[misc]
    work = take(due)
    assert (work.camera, work.session, index(work), work.dropped) == ("yard", "session of yard", 2, 2)
    assert released == [0, 1]
    assert due.counts("yard") == Counts(offered=3, analysed=1, still=0, shed=2, stale=0)


def test_a_still_waits_behind_its_frame_and_takes_the_place_of_one_before() -> None:
    due = due_frames("yard")
    due.offer("yard", arrival(0))
    for number in (1, 2):
        due.offer("yard", arrival(number, still=True))
    assert [index(take(due)) for _ in range(2)] == [0, 2]
    assert due.counts("yard") == Counts(offered=3, analysed=1, still=1, shed=1, stale=0)


def test_a_frame_takes_the_place_of_all_that_waits() -> None:
    due = due_frames("yard")
    due.offer("yard", arrival(0))
    due.offer("yard", arrival(1, still=True))
    due.offer("yard", arrival(2))
    assert index(take(due)) == 2
    assert due.counts("yard").shed == 2


def test_what_is_too_old_is_never_given_out() -> None:
    due, released = due_frames("yard", "door", staleness_s=5.0), list[int]()
    due.offer("yard", arrival(0, age_s=6.0, release=lambda: released.append(0)))
    due.offer("door", arrival(1))
    assert index(take(due)) == 1
    assert [work.end for work in rest(due)] == ["stop", "stop"]
    assert released == [0]


def test_of_two_that_wait_the_stale_one_does_not_hold_up_the_other() -> None:
    due = due_frames("yard", "door", staleness_s=5.0)
    due.add("yard", "first in turn", worker=0, period_s=1e-6)
    due.offer("yard", arrival(0, age_s=6.0))
    due.offer("door", arrival(1))
    assert take(due).camera == "door"
    assert due.counts("yard").stale == 1


def test_that_nothing_moved_since_a_frame_that_was_never_seen_says_nothing() -> None:
    due = due_frames("yard", "door", staleness_s=5.0)
    due.offer("yard", arrival(0, age_s=6.0))
    due.offer("yard", arrival(1, still=True))
    due.offer("door", arrival())
    assert take(due).camera == "door"
    due.offer("yard", arrival(2, still=True))
    due.offer("yard", arrival(3))
    due.offer("yard", arrival(4, still=True))
    assert [index(take(due)) for _ in range(2)] == [3, 4]
    assert due.counts("yard") == Counts(offered=5, analysed=1, still=1, shed=0, stale=3)


def test_an_end_comes_behind_what_waits_and_before_what_follows() -> None:
    due = due_frames("yard")
    due.offer("yard", arrival(0))
    due.end("yard", "gap")
    due.offer("yard", arrival(1))
    due.offer("yard", arrival(2))
    first, end, last = (take(due) for _ in range(3))
    assert (index(first), end.end, end.arrival, end.is_last, index(last)) == (0, "gap", None, False, 2)


def test_two_ends_are_one_and_nothing_is_between_them() -> None:
    due = due_frames("yard")
    due.end("yard", "gap")
    due.offer("yard", arrival(0))
    due.end("yard", "end_of_stream")
    due.offer("yard", arrival(1))
    end, last = (take(due) for _ in range(2))
    assert (end.end, index(last)) == ("gap", 1)
    assert due.counts("yard").shed == 1


def test_an_end_is_taken_before_the_frames_of_others() -> None:
    due = due_frames("first", "yard")
    due.add("urgent", "", worker=0, period_s=1e-6, priority="high")
    for camera in ("first", "urgent"):
        due.offer(camera, arrival())
    due.end("yard", "gap")
    assert [take(due).camera for _ in range(3)] == ["yard", "urgent", "first"]


def test_a_camera_that_is_removed_leaves_an_end_behind_and_nothing_else() -> None:
    due, released = due_frames("yard"), list[int]()
    due.offer("yard", arrival(release=lambda: released.append(0)))
    due.remove("yard")
    due.offer("yard", arrival(release=lambda: released.append(1)))
    work = take(due)
    assert (work.session, work.end, work.is_last, work.arrival) == ("session of yard", "stop", True, None)
    assert released == [0, 1]
    with pytest.raises(KeyError):
        due.counts("yard")
    due.remove("yard")
    assert rest(due) == []


def test_one_that_ends_already_when_it_is_removed_ends_for_the_first_reason() -> None:
    due = due_frames("yard")
    due.end("yard", "gap")
    due.remove("yard", "stop")
    assert [(work.end, work.is_last) for work in rest(due)] == [("gap", True)]


def test_one_that_is_added_again_comes_behind_the_end_of_the_one_before() -> None:
    due = due_frames("yard")
    due.remove("yard", "stop")
    due.add("yard", "other models", worker=0, period_s=1e-9, priority="high")
    due.offer("yard", arrival(7))
    due.end("yard", "gap")
    assert [(work.session, work.end) for work in (take(due) for _ in range(3))] == [
        ("session of yard", "stop"),
        ("other models", None),
        ("other models", "gap"),
    ]
    assert due.counts("yard").offered == 1


def test_priority_goes_first() -> None:
    due = due_frames()
    priorities: tuple[Priority, ...] = ("low", "normal", "high")
    for priority in priorities:
        due.add(priority, "", worker=0, period_s=0.2, priority=priority)
        due.offer(priority, arrival())
    assert [take(due).camera for _ in priorities] == ["high", "normal", "low"]


def served(due: FrameScheduler[str], cameras: list[str], every: dict[str, int], num_rounds: int, capacity: int) -> Counter[str]:
    """How often each is served, where each offers a frame in every so many rounds, and so many can be served in a round."""
    counter: Counter[str] = Counter()
    for number in range(num_rounds):
        for camera in cameras:
            if number % every[camera] == 0:
                due.offer(camera, arrival(number))
        for _ in range(capacity):
            counter[take(due).camera] += 1
    return counter


def test_overload_is_shed_evenly() -> None:
    cameras = [f"camera {number}" for number in range(10)]
    due = due_frames(*cameras)
    counter = served(due, cameras, dict.fromkeys(cameras, 1), num_rounds=200, capacity=5)
    assert all(counter[camera] == pytest.approx(100, abs=2) for camera in cameras)


def test_of_two_that_wait_the_one_is_next_that_is_overdue_by_more_of_its_own_periods() -> None:
    due = due_frames()
    for camera, period_s in (("seldom", 1e6), ("often", 1e-6)):
        due.add(camera, "", worker=0, period_s=period_s)
        due.offer(camera, arrival())
    assert [take(due).camera for _ in range(2)] == ["often", "seldom"]


def test_cameras_of_two_workers_do_not_meet() -> None:
    due = due_frames("yard")
    due.add("door", "", worker=1, period_s=0.2)
    due.offer("yard", arrival(0))
    due.offer("door", arrival(1))
    assert index(take(due, worker=1)) == 1
    assert index(take(due, worker=0)) == 0


def test_a_worker_that_waits_hears_of_a_frame_and_of_the_end() -> None:
    due, heard = due_frames("yard"), list[str]()

    def work() -> None:
        while found := due.take(0):
            heard.append(found.end or "frame")

    with Worker("test", work, due.close):
        due.offer("yard", arrival())
    assert heard[-1:] == ["stop"]


def test_what_is_closed_takes_nothing_more() -> None:
    due, released = due_frames("yard"), list[int]()
    due.close()
    due.close()
    due.offer("yard", arrival(release=lambda: released.append(0)))
    due.end("yard", "gap")
    with pytest.raises(ChannelClosed):
        due.add("door", "", worker=0, period_s=0.2)
    assert [(work.end, work.is_last) for work in rest(due)] == [("stop", True)]
    assert released == [0]


STEPS = st.lists(st.sampled_from(["frame", "still", "old frame", "old still", "gap", "stop", "take"]), max_size=40)


@given(STEPS)
def test_each_frame_is_counted_once_and_given_back_once_and_ends_alternate_with_frames(steps: list[str]) -> None:
    due, released = due_frames("yard", staleness_s=5.0), Counter[int]()
    taken: list[Work[str]] = []
    waits = 0
    for number, step in enumerate(steps):
        if step in ("gap", "stop"):
            reason: Reason = "gap" if step == "gap" else "stop"
            due.end("yard", reason)
        elif step == "take":
            due.end("yard", "gap")  # so that there is something to take
            taken.append(take(due))
        else:
            age_s = 6.0 if "old" in step else 0.0
            due.offer("yard", arrival(number, age_s=age_s, still="still" in step, release=lambda number=number: released.update([number])))  # type: ignore[misc]
            waits += 1
    counts = due.counts("yard")
    taken += rest(due)
    used = [work.arrival for work in taken if work.arrival]
    for each in used:
        each.release()
    offered, *others = astuple(counts)
    assert offered == waits == sum(released.values()) == len(released)
    assert 0 <= offered - sum(others) <= 4
    assert not any("old" in steps[each.due.index] for each in used)
    assert [each.due.index for each in used] == sorted(each.due.index for each in used)


def test_a_camera_that_is_moved_waits_for_its_new_worker_with_all_that_waits_of_it() -> None:
    due = due_frames("yard", "door")
    for camera in ("yard", "door"):
        due.offer(camera, arrival(1))
    due.end("door", "gap")
    due.move("door", 1)
    due.move("gone", 1)
    assert (take(due).camera, index(take(due, 1)), take(due, 1).end) == ("yard", 1, "gap")
    due.offer("door", arrival(2))
    assert index(take(due, 1)) == 2
    due.move("door", 0)
    due.offer("door", arrival(3))
    assert index(take(due)) == 3
    assert [(work.camera, work.end, work.is_last) for work in rest(due)] == [("yard", "stop", True), ("door", "stop", True)]
    assert rest(due, 1) == []
