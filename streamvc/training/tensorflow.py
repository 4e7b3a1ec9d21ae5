"""The one place where training loads TensorFlow, which takes seconds: import this module only where it is needed."""

import os

from streamvc.errors import DataError
from streamvc.inference.chatter import without_chatter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read while TensorFlow loads: its start-up talk is not for users
try:
    with without_chatter():
        import keras
        import tensorflow as tf
except ImportError as error:
    raise DataError("training needs TensorFlow; install it with: pip install 'streamvc[train]'") from error

__all__ = ["keras", "tf"]
