"""Makes events of what is decided: with the times, the stream, the model and the links to what is recorded."""

import time
from dataclasses import dataclass

from streamvc.events import Detection, Event, ModelInfo, StreamInfo, Timing, event_id
from streamvc.inference.bundle import Bundle
from streamvc.recording import NOTHING, Recorder
from streamvc.types import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """When something is decided.

    Attributes:
        frame: The frame that it is decided with.
        epoch_s: Unix time of stream time 0; 0.0 for a recording.
        stream: How the stream is.
        featured: `time.monotonic()` when the frame had been analysed, in seconds.
        decided: `time.monotonic()` when it was decided, in seconds.
    """

    frame: Frame
    epoch_s: float
    stream: StreamInfo
    featured: float
    decided: float


class EventMaker:
    """Completes what is decided by one model at one camera to events, and lets them be recorded."""

    def __init__(self, camera: str, bundle: Bundle, recorder: Recorder | None = None) -> None:
        self._camera = camera
        self._model = ModelInfo(bundle.manifest.name, bundle.manifest.version, bundle.sha256)
        self._recorder = recorder

    def make(self, detection: Detection, moment: Moment) -> Event:
        """The event of a decision. `moment.epoch_s` must be the same for all of one activity."""
        frame, epoch_s = moment.frame, moment.epoch_s
        t_start = epoch_s + detection.t_start
        identifier = event_id(self._camera, self._model.sha256, detection.label, t_start)
        return Event(
            event_id=identifier,
            phase=detection.phase,
            camera=self._camera,
            label=detection.label,
            score=detection.score,
            top=detection.top,
            t_start=t_start if epoch_s else None,
            t_end=epoch_s + detection.t_end if epoch_s and detection.t_end is not None else None,
            stream_start_s=detection.t_start,
            stream_end_s=detection.t_end,
            duration_s=None if detection.phase == "start" else detection.timestamp - detection.t_start,
            reason=detection.reason,
            decision=detection.decision,
            timing=Timing(
                capture=time.time() - (time.monotonic() - frame.captured),
                decoded_s=frame.decoded - frame.captured,
                features_s=max(moment.featured, frame.decoded) - frame.captured,
                decided_s=moment.decided - frame.captured,
                published_s=None,
            ),
            stream=moment.stream,
            model=self._model,
            media=self._recorder.link(identifier, detection, frame.image) if self._recorder else NOTHING,
            seq=None,
            epoch=None,
        )
