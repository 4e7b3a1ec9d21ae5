from streamvc.publish.pending_requests import PendingRequests
from streamvc.publish.wire import SnapshotQuery


def test_the_wait_is_that_since_the_last_answer_as_long_as_something_is_pending() -> None:
    pending = PendingRequests()
    first, second = (pending.add(SnapshotQuery(), now) for now in (5.0, 6.0))
    waits = [pending.waiting_s]
    for request, now in ((first, 7.0), (second, 8.0)):
        assert pending.pop(request.id, now)
        waits.append(pending.waiting_s)
    assert waits == [5.0, 7.0, None]
