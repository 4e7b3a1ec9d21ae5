"""A thread that analyses the frames of many cameras, one after the other."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamvc.events import Event
from streamvc.node.analysis import CameraAnalysis
from streamvc.node.due import DueFrames, Work
from streamvc.node.messages import Arrived
from streamvc.pipeline import Sink
from streamvc.recording import Recorder


@dataclass(frozen=True, slots=True)
class Analysed:
    """What became of a frame. All moments are `time.monotonic()`, in seconds.

    Attributes:
        camera: The camera.
        still: It was not looked at: it shows what the one before did.
        captured: When its encoded form arrived.
        decoded: When it was decoded.
        taken: When its turn came.
        featured: When it had passed the extractors.
        decided: When all was decided that there was to decide.
        published: When that was published.
        num_events: How many events there were.
    """

    camera: str
    still: bool
    captured: float
    decoded: float
    taken: float
    featured: float
    decided: float
    published: float
    num_events: int


class InferenceWorker:
    """Analyses the frames of its cameras as they are due. What goes wrong with one camera does not touch the others.

    Attributes:
        busy_since: `time.monotonic()` when it took what it works at, in seconds; None while it waits. May be read by any thread.
    """

    def __init__(
        self,
        number: int,
        due: DueFrames[CameraAnalysis],
        *,
        publish: Sink,
        told: Callable[[Analysed], None],
        failed: Callable[[str, Exception], None],
    ) -> None:
        """Set up.

        Args:
            number: Which of the workers it is.
            due: Where its work comes from.
            publish: Is called with each event.
            told: Is called after each frame, also where it was still.
            failed: Is called with the name of a camera whose analysis has failed, for each frame that it fails at. What ran there was ended.
        """
        self.busy_since: float | None = None
        self._number = number
        self._due = due
        self._publish = publish
        self._told = told
        self._failed = failed
        self._recorders: list[Recorder] = []  # of cameras that have left

    def run(self) -> None:
        """Work until `due` is closed, and all that it still held is done."""
        while work := self._due.take(self._number):
            self.busy_since = work.taken
            if work.arrival:
                self._analyse(work, work.arrival)
            elif work.end:
                self._publish_all(work.analysis.flush(work.end))
            if work.is_last:
                self._part(work.analysis)
            self.busy_since = None
        for recorder in self._recorders:
            recorder.close()

    def _analyse(self, work: Work[CameraAnalysis], arrival: Arrived) -> None:
        analysis = work.analysis
        try:
            events = analysis.step(arrival, work.dropped)
        except Exception as error:  # whatever it is, it is this camera's alone
            self._publish_all(analysis.flush("error"))
            self._failed(work.camera, error)
            return
        finally:
            arrival.release()
        decided = time.monotonic()
        self._publish_all(events)
        moments = (arrival.due.captured, arrival.due.decoded, work.taken, analysis.featured, decided, time.monotonic())
        self._told(Analysed(work.camera, arrival.frame is None, *moments, len(events)))

    def _publish_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._publish(event)

    def _part(self, analysis: CameraAnalysis) -> None:
        """Let a camera go. What is recorded of it is completed meanwhile, as others do not wait for that."""
        self._recorders = [recorder for recorder in self._recorders if recorder.is_recording]
        if analysis.recorder:
            analysis.recorder.finish()
            self._recorders.append(analysis.recorder)
