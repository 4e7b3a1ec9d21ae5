"""TensorFlow as a runtime, for its GPU: the graph of a `.tflite` file becomes a `tf.function`.

It knows the operations of this project's float files and refuses all others.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.chatter import without_chatter
from streamvc.inference.runtime import TensorSpec
from streamvc.types import Array

if "tflite_runtime" in sys.modules:  # the two define the same native symbols, and the process dies of it
    raise InferenceError("TensorFlow cannot be used in a process that has loaded tflite-runtime")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with without_chatter():
    import tensorflow as tf
    from tensorflow.lite.python import schema_py_generated as schema

Operation = Callable[..., Any]

PADDING = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}
ACTIVATIONS: dict[int, Operation] = {
    schema.ActivationFunctionType.NONE: lambda x: x,
    schema.ActivationFunctionType.RELU: tf.nn.relu,
    schema.ActivationFunctionType.RELU6: tf.nn.relu6,
    schema.ActivationFunctionType.TANH: tf.tanh,
}
DTYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16, schema.TensorType.INT32: np.int32}


def _conv(options: Any, x: Any, weight: Array, bias: Array) -> Any:
    strides = [options.strideH, options.strideW]
    return tf.nn.conv2d(x, weight.transpose(1, 2, 3, 0), strides, PADDING[options.padding]) + bias


def _depthwise_conv(options: Any, x: Any, weight: Array, bias: Array) -> Any:
    strides = [1, options.strideH, options.strideW, 1]
    kernel = weight.reshape(*weight.shape[1:3], -1, options.depthMultiplier)
    return tf.nn.depthwise_conv2d(x, kernel, strides, PADDING[options.padding]) + bias


def _fully_connected(_: Any, x: Any, weight: Array, bias: Array | None = None) -> Any:
    y = tf.reshape(x, [-1, weight.shape[1]]) @ weight.T
    return y if bias is None else y + bias


def _strided_slice(options: Any, x: Any, begin: Array, end: Array, strides: Array) -> Any:
    return tf.strided_slice(
        x,
        begin,
        end,
        strides,
        begin_mask=options.beginMask,
        end_mask=options.endMask,
        ellipsis_mask=options.ellipsisMask,
        new_axis_mask=options.newAxisMask,
        shrink_axis_mask=options.shrinkAxisMask,
    )


# Each takes the options of the operator (None where it has none) and its inputs: arrays where they are constants, tensors else.
OPERATIONS: dict[str, Operation] = {
    "ADD": lambda _, x, y: x + y,
    "CONCATENATION": lambda options, *x: tf.concat(x, options.axis),
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise_conv,
    "DEQUANTIZE": lambda _, x: x.astype(np.float32),
    "FULLY_CONNECTED": _fully_connected,
    "LOGISTIC": lambda _, x: tf.sigmoid(x),
    "MEAN": lambda options, x, axes: tf.reduce_mean(x, axes, keepdims=options.keepDims),
    "MUL": lambda _, x, y: x * y,
    "RESHAPE": lambda _, x, shape: tf.reshape(x, shape),
    "SLICE": lambda _, x, begin, size: tf.slice(x, begin, size),
    "SPLIT": lambda options, axis, x: tf.split(x, options.numSplits, int(axis)),
    "STRIDED_SLICE": _strided_slice,
    "SUB": lambda _, x, y: x - y,
    "TANH": lambda _, x: tf.tanh(x),
}
NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name in OPERATIONS}


class TensorFlowModel:
    """A `streamvc.inference.runtime.Model` on TensorFlow; on its GPU where it has one."""

    def __init__(self, model: Any, path: Path) -> None:
        (graph,) = model.subgraphs
        self._model = model
        self._graph = graph
        self._path = path
        (self._source,), (self._sink,) = graph.inputs, graph.outputs
        self.input, self.output = self._spec(self._source), self._spec(self._sink)
        self._buffer = np.zeros(self.input.shape, self.input.dtype)
        self._function = tf.function(self.call, input_signature=[tf.TensorSpec(self.input.shape, self.input.dtype)], autograph=False)
        self._function.get_concrete_function()

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        fill(self._buffer)
        try:
            return self.output.decode(self._function(tf.constant(self._buffer)).numpy())
        except tf.errors.OpError as error:
            raise InferenceError(f"{self._path}: TensorFlow failed: {error.message.splitlines()[0]}") from error

    def call(self, x: Any) -> Any:
        """The graph on a TensorFlow tensor."""
        values = {index: array for index in range(len(self._graph.tensors)) if (array := self._constant(index)) is not None}
        values[self._source] = x
        for operator in self._graph.operators:
            result = self._operation(operator)(operator.builtinOptions, *(values[index] for index in operator.inputs if index >= 0))
            activation = ACTIVATIONS[getattr(operator.builtinOptions, "fusedActivationFunction", 0)]
            results = result if len(operator.outputs) > 1 else [result]
            values.update(zip(operator.outputs, map(activation, results), strict=True))
        return values[self._sink]

    def _operation(self, operator: Any) -> Operation:
        kind = self._model.operatorCodes[operator.opcodeIndex]
        code = max(kind.builtinCode, kind.deprecatedBuiltinCode)  # small codes of old files stand in the deprecated field alone
        if code not in NAMES:
            raise InferenceError(f"{self._path}: the TensorFlow runtime does not know its operator {code}; use litert")
        return OPERATIONS[NAMES[code]]

    def _constant(self, index: int) -> Array | None:
        tensor = self._graph.tensors[index]
        data = self._model.buffers[tensor.buffer].data
        if data is None or len(data) == 0:
            return None
        array: Array = np.asarray(data, np.uint8).view(self._dtype(index)).reshape(() if tensor.shape is None else tensor.shape)
        return array

    def _spec(self, index: int) -> TensorSpec:
        return TensorSpec(tuple(int(size) for size in self._graph.tensors[index].shape), self._dtype(index))

    def _dtype(self, index: int) -> np.dtype[Any]:
        kind = self._graph.tensors[index].type
        if kind not in DTYPES:
            raise InferenceError(f"{self._path}: the TensorFlow runtime runs float models alone, and this one is quantised; use litert")
        return np.dtype(DTYPES[kind])


def open_model(path: Path, threads: int) -> TensorFlowModel:
    """Load a `.tflite` file; see `streamvc.inference.runtime.open_model`. The number of threads is the process's, and the first one given holds."""
    with suppress(RuntimeError):  # TensorFlow is running already
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    # GPUs would round to 10 bits of mantissa by default, and scores would differ from the other runtimes'.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        return TensorFlowModel(model, path)
    except InferenceError:
        raise
    except Exception as error:  # a damaged flatbuffer fails in any way: struct.error, IndexError, TypeError, ...
        raise InferenceError(f"{path}: not a model that this runtime can run") from error
