"""What is gained where several threads run one network of TensorFlow: one by one, and in batches of what they have at a time.

    python scripts/bench_batches.py [--threads 8] [--backbone efficientnet-lite0-f16]

Prints images/s by round, and the ratio. On a GPU it should be far above what it is on a processor.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np

from streamvc.inference.backbone import find_backbone
from streamvc.inference.batching import shared_opener
from streamvc.inference.runtime import Model, open_model

NUM_IMAGES, NUM_WARM_UP = 200, 20


def images_per_s(model: Model, num_threads: int) -> float:
    image = np.random.default_rng(0).uniform(0, 1, model.input.shape).astype(model.input.dtype)

    def run(_: int) -> None:
        model.run(lambda tensor: np.copyto(tensor, image))

    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(run, range(NUM_WARM_UP * num_threads)))
        begun = time.perf_counter()
        list(pool.map(run, range(NUM_IMAGES)))
    return NUM_IMAGES / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--backbone", default="efficientnet-lite0-f16", help="a float one")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    file = find_backbone(arguments.backbone) / "backbone.tflite"
    alone, together = open_model(file, "tensorflow", 2), shared_opener()(file, "tensorflow", 2)
    ratios = []
    for number in range(1, arguments.rounds + 1):
        one, many = images_per_s(alone, 1), images_per_s(together, arguments.threads)
        ratios.append(many / one)
        print(f"round {number}: {one:.0f} images/s one by one, {many:.0f} from {arguments.threads} threads, {ratios[-1]:.2f} times as many")
    print(f"median: {median(ratios):.2f} times as many")


if __name__ == "__main__":
    main()
