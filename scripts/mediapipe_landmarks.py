"""MediaPipe's part of `compare_pose.py`: needs mediapipe 0.10 and nothing of streamvc.

    python scripts/mediapipe_landmarks.py FRAMES.npz ANSWERS.npz

FRAMES.npz holds clips, (T, H, W, 3) uint8, BGR. ANSWERS.npz gets what MediaPipe found in each of them, under its name with `-alone` (each frame by
itself) and `-tracked` (as a stream): (T, 34, 7), a row (x, y, z, visibility, and x, y, z in metres) for each landmark, then one of the region in
which the person was detected (x, y, side, rotation, 0, 0, 0). Lengths are pixels unless they are metres. It is not a number where nobody was found.
"""

import sys
from typing import Any

import numpy as np
from mediapipe.python.solution_base import SolutionBase  # type: ignore[import-not-found]

GRAPH = "mediapipe/modules/pose_landmark/pose_landmark_cpu.binarypb"
OUTPUTS = ["pose_landmarks", "pose_world_landmarks", "pose_rect_from_detection"]
OPTIONS = {"model_complexity": 1, "smooth_landmarks": False, "enable_segmentation": False, "smooth_segmentation": False}


def answer(found: Any, width: int, height: int) -> np.ndarray:
    rows = np.full((34, 7), np.nan)
    if found.pose_landmarks:
        pairs = zip(found.pose_landmarks.landmark, found.pose_world_landmarks.landmark, strict=True)
        rows[:33] = [(p.x * width, p.y * height, p.z * width, p.visibility, w.x, w.y, w.z) for p, w in pairs]
    if region := found.pose_rect_from_detection:
        rows[33] = region.x_center * width, region.y_center * height, region.width * width, region.rotation, 0, 0, 0
    return rows


def answers(frames: np.ndarray, tracked: bool) -> np.ndarray:
    _, height, width, _ = frames.shape
    with SolutionBase(binary_graph_path=GRAPH, side_inputs={**OPTIONS, "use_prev_landmarks": tracked}, outputs=OUTPUTS) as solution:
        return np.stack([answer(solution.process({"image": np.ascontiguousarray(frame[..., ::-1])}), width, height) for frame in frames])


def main() -> None:
    source, sink = sys.argv[1:]
    clips = np.load(source)
    modes = (("alone", False), ("tracked", True))
    found = {f"{name}-{mode}": answers(clips[name], tracked) for name in clips.files for mode, tracked in modes}
    np.savez(sink, allow_pickle=False, **found)


if __name__ == "__main__":
    main()
