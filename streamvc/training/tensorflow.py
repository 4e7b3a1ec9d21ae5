"""The one place where training loads TensorFlow, which takes seconds: import this module only where it is needed."""

import os
from contextlib import suppress

from streamvc.errors import DataError
from streamvc.extras import install_command
from streamvc.inference.native_logs import hide_native_logs

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read while TensorFlow loads: its start-up talk is not for users
try:
    with hide_native_logs():
        import keras
        import tensorflow as tf
except ImportError as error:
    raise DataError(f"training needs TensorFlow; install it with: {install_command('train')}") from error

__all__ = ["keras", "make_repeatable", "tf"]


def make_repeatable(seed: int, threads: int) -> None:
    """Make trainings repeatable: from here on the same seed gives the same weights, to the last bit.

    Args:
        seed: Of all that is drawn.
        threads: For one operation. The first one asked for in a process holds. Threads help whole networks; small heads they hinder.
    """
    with suppress(RuntimeError), hide_native_logs():  # TensorFlow may be running already
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    with hide_native_logs():
        tf.constant(0)  # now it looks for GPUs, and says so
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
