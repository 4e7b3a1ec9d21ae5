"""The one place where training loads TensorFlow, which takes seconds: import this module only where it is needed."""

import os
from contextlib import suppress

from streamvc.errors import DataError
from streamvc.extras import install_command
from streamvc.inference.chatter import without_chatter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read while TensorFlow loads: its start-up talk is not for users
try:
    with without_chatter():
        import keras
        import tensorflow as tf
except ImportError as error:
    raise DataError(f"training needs TensorFlow; install it with: {install_command('train')}") from error

__all__ = ["keras", "prepare", "tf"]


def prepare(seed: int, threads: int) -> None:
    """Make what follows repeatable: the same seed gives the same weights, to the last bit.

    Args:
        seed: Of all that is drawn.
        threads: For one operation. The first one asked for in a process holds. Threads help whole networks; small heads they hinder.
    """
    with suppress(RuntimeError), without_chatter():  # TensorFlow may be running already
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    with without_chatter():
        tf.constant(0)  # now it looks for GPUs, and says so
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
