"""TensorFlow as a runtime, for its GPU: the graph of a `.tflite` file becomes a `tf.function`.

It knows the operations of this project's float files and refuses all others.
"""

import math
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.native_logs import hide_native_logs
from streamvc.inference.runtime import TensorSpec
from streamvc.types import Array

if "tflite_runtime" in sys.modules:  # the two define the same native symbols, and the process dies of it
    raise InferenceError("TensorFlow cannot be used in a process that has loaded tflite-runtime")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with hide_native_logs():
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


def _conv(options: Any, x: Any, weight: Array, bias: Array | None = None) -> Any:
    strides = [options.strideH, options.strideW]
    y = tf.nn.conv2d(x, weight.transpose(1, 2, 3, 0), strides, PADDING[options.padding])
    return y if bias is None else y + bias


def _depthwise_conv(options: Any, x: Any, weight: Array, bias: Array) -> Any:
    strides = [1, options.strideH, options.strideW, 1]
    kernel = weight.reshape(*weight.shape[1:3], -1, options.depthMultiplier)
    return tf.nn.depthwise_conv2d(x, kernel, strides, PADDING[options.padding]) + bias


def _fully_connected(_: Any, x: Any, weight: Array, bias: Array | None = None) -> Any:
    y = tf.reshape(x, [-1, weight.shape[1]]) @ weight.T
    return y if bias is None else y + bias


def _reshape(_: Any, x: Any, shape: Array) -> Any:
    """To a shape that was made for one input; where there are several, for each of them."""
    first, *row = (int(size) for size in shape)
    if first != 1 or x.shape[:1] != (None,) or None in x.shape[1:]:
        return tf.reshape(x, shape)
    if -1 in row:
        row[row.index(-1)] = math.prod(x.shape[1:]) // -math.prod(row)
    return tf.reshape(x, [-1, *row])


def _max_pool(options: Any, x: Any) -> Any:
    return tf.nn.max_pool2d(x, [options.filterHeight, options.filterWidth], [options.strideH, options.strideW], PADDING[options.padding])


def _resize_bilinear(options: Any, x: Any, size: Array) -> Any:
    # tf.image.resize knows half pixels only
    return tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=options.alignCorners, half_pixel_centers=options.halfPixelCenters)


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
    "ABS": lambda _, x: tf.abs(x),
    "ADD": lambda _, x, y: x + y,
    "ARG_MAX": lambda _, x, axis: tf.argmax(x, int(axis), tf.int32),
    "CAST": lambda dtype, x: tf.cast(x, dtype),  # it is given the type in place of options
    "CONCATENATION": lambda options, *x: tf.concat(x, options.axis),
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise_conv,
    "DEPTH_TO_SPACE": lambda options, x: tf.nn.depth_to_space(x, options.blockSize),
    "DEQUANTIZE": lambda _, x: x.astype(np.float32),
    "DIV": lambda _, x, y: x / y,
    "EQUAL": lambda _, x, y: tf.equal(x, y),
    "EXP": lambda _, x: tf.exp(x),
    "EXPAND_DIMS": lambda _, x, axis: tf.expand_dims(x, int(axis)),
    "FILL": lambda _, shape, value: tf.fill(shape, value),
    "FLOOR_DIV": lambda _, x, y: x // y,
    "FULLY_CONNECTED": _fully_connected,
    "GATHER_ND": lambda _, x, indices: tf.gather_nd(x, indices),
    "GREATER": lambda _, x, y: x > y,
    "GREATER_EQUAL": lambda _, x, y: x >= y,
    "LESS": lambda _, x, y: x < y,
    "LESS_EQUAL": lambda _, x, y: x <= y,
    "LOGICAL_AND": lambda _, x, y: x & y,
    "LOGISTIC": lambda _, x: tf.sigmoid(x),
    "MAXIMUM": lambda _, x, y: tf.maximum(x, y),
    "MAX_POOL_2D": _max_pool,
    "MEAN": lambda options, x, axes: tf.reduce_mean(x, axes, keepdims=options.keepDims),
    "MINIMUM": lambda _, x, y: tf.minimum(x, y),
    "MUL": lambda _, x, y: x * y,
    "PACK": lambda options, *x: tf.stack(x, options.axis),
    "PAD": lambda _, x, paddings: tf.pad(x, paddings),
    "RANGE": lambda _, start, limit, step: tf.range(start, limit, step),
    "REDUCE_MAX": lambda options, x, axes: tf.reduce_max(x, axes, keepdims=options.keepDims),
    "REDUCE_PROD": lambda options, x, axes: tf.reduce_prod(x, axes, keepdims=options.keepDims),
    "RELU": lambda _, x: tf.nn.relu(x),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize_bilinear,
    "SELECT": lambda _, condition, x, y: tf.where(condition, x, y),
    "SELECT_V2": lambda _, condition, x, y: tf.where(condition, x, y),
    "SHAPE": lambda _, x: np.array(x.shape, np.int32),
    "SLICE": lambda _, x, begin, size: tf.slice(x, begin, size),
    "SPLIT": lambda options, axis, x: tf.split(x, options.numSplits, int(axis)),
    "SQRT": lambda _, x: tf.sqrt(x),
    "SQUARED_DIFFERENCE": lambda _, x, y: tf.math.squared_difference(x, y),
    "SQUEEZE": lambda options, x: tf.squeeze(x, list(options.squeezeDims)),
    "STRIDED_SLICE": _strided_slice,
    "SUB": lambda _, x, y: x - y,
    "SUM": lambda options, x, axes: tf.reduce_sum(x, axes, keepdims=options.keepDims),
    "TANH": lambda _, x: tf.tanh(x),
    "TILE": lambda _, x, multiples: tf.tile(x, multiples),
    "TOPK_V2": lambda _, x, count: list(tf.math.top_k(x, int(count))),
    "UNPACK": lambda options, x: tf.unstack(x, axis=options.axis),
    "ZEROS_LIKE": lambda _, x: tf.zeros_like(x),
}
NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name in OPERATIONS}


class Graph:
    """The graph of a `.tflite` file with one input, as a function of TensorFlow tensors."""

    def __init__(self, content: bytes, path: Path) -> None:
        """Read a file's content; its path is for messages. A damaged one fails in any way: struct.error, IndexError, TypeError, ..."""
        self._model = schema.ModelT.InitFromPackedBuf(content, 0)
        (self._graph,) = self._model.subgraphs
        (self.source,) = self._graph.inputs
        self._path = path

    @property
    def sinks(self) -> dict[str, int]:
        """Its outputs, by name."""
        return {self._graph.tensors[index].name.decode(): int(index) for index in self._graph.outputs}

    def made_by(self, kind: str) -> list[int]:
        """The tensors that operators of a kind put out."""
        code = getattr(schema.BuiltinOperator, kind)
        return [int(index) for operator in self._graph.operators if self._code(operator) == code for index in operator.outputs]

    def names_from(self, index: int) -> list[str]:
        """The names of what operators put out, from that one on that makes a tensor."""
        made = [int(operator.outputs[0]) for operator in self._graph.operators]
        return [self._graph.tensors[each].name.decode() for each in made[made.index(index) :]]

    def call(self, x: Any, sinks: Collection[int], known: Mapping[int, Array] | None = None) -> list[Any]:
        """What some of its tensors are for an input; no more than they need is computed, and nothing that is known."""
        values: dict[int, Any] = {self.source: x, **(known or {})}
        for operator in self._needed(sinks, set(values)):
            inputs = [values[index] if index in values else self._constant(index) for index in operator.inputs if index >= 0]
            results = self._results(operator, inputs)
            values.update(zip(operator.outputs, results, strict=True))
        return [values[index] for index in sinks]

    def spec(self, index: int) -> TensorSpec:
        """What a tensor holds."""
        return TensorSpec(tuple(int(size) for size in self._graph.tensors[index].shape), self._dtype(index))

    def _needed(self, sinks: Iterable[int], known: set[int]) -> list[Any]:
        """The operators that these tensors are made by, in their order."""
        needed, operators = set(sinks), []
        for operator in reversed(self._graph.operators):
            if needed.intersection(operator.outputs) - known:
                needed.update(operator.inputs)
                operators.append(operator)
        return operators[::-1]

    def _results(self, operator: Any, inputs: list[Any]) -> list[Any]:
        """What an operator puts out; arrays where it is given nothing but arrays, as of the shapes that a graph for any size computes with."""
        if all(isinstance(each, np.ndarray | np.generic) for each in inputs):
            with tf.init_scope():
                return [np.asarray(each) for each in self._run(operator, inputs)]
        return self._run(operator, inputs)

    def _run(self, operator: Any, inputs: list[Any]) -> list[Any]:
        operation, options = self._operation(operator), operator.builtinOptions
        if self._code(operator) == schema.BuiltinOperator.CAST:
            options = self._dtype(operator.outputs[0])
        result = operation(options, *inputs)
        activation = ACTIVATIONS[getattr(operator.builtinOptions, "fusedActivationFunction", 0)]
        return [activation(each) for each in (result if isinstance(result, list) else [result])]

    def _operation(self, operator: Any) -> Operation:
        code = self._code(operator)
        if code not in NAMES:
            raise InferenceError(f"{self._path}: the TensorFlow runtime does not know its operator {code}; use litert")
        return OPERATIONS[NAMES[code]]

    def _code(self, operator: Any) -> int:
        kind = self._model.operatorCodes[operator.opcodeIndex]
        return int(max(kind.builtinCode, kind.deprecatedBuiltinCode))  # small codes of old files stand in the deprecated field alone

    def _constant(self, index: int) -> Array:
        tensor = self._graph.tensors[index]
        data = np.asarray(self._model.buffers[tensor.buffer].data, np.uint8)
        array: Array = data.view(self._dtype(index)).reshape(() if tensor.shape is None else tensor.shape)
        return array

    def _dtype(self, index: int) -> np.dtype[Any]:
        kind = self._graph.tensors[index].type
        if kind not in DTYPES:
            raise InferenceError(f"{self._path}: the TensorFlow runtime runs float models alone, and this one is quantised; use litert")
        return np.dtype(DTYPES[kind])


class TensorFlowModel:
    """A `streamvc.inference.runtime.Model` on TensorFlow; on its GPU where it has one.

    Attributes:
        call: The graph on a TensorFlow tensor.
        takes_many: It can run several inputs at once.
    """

    def __init__(self, graph: Graph, path: Path) -> None:
        (sink,) = graph.sinks.values()
        self._path = path
        self.input, self.output = graph.spec(graph.source), graph.spec(sink)
        self._buffer = np.zeros(self.input.shape, self.input.dtype)
        self.call = lambda x: graph.call(x, [sink])[0]
        many = self._compiled(None)
        self.takes_many = many is not None
        self._function = many or self._compiled(1)

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        fill(self._buffer)
        return self.run_many(self._buffer)

    def run_many(self, inputs: Array) -> NDArray[np.float32]:
        """Run several inputs, (N, ...), at once, where it `takes_many`; returns their outputs' real values, (N, ...).

        Raises:
            InferenceError: The runtime failed.
        """
        try:
            return self.output.decode(self._function(tf.constant(inputs)).numpy())
        except tf.errors.OpError as error:
            raise InferenceError(f"{self._path}: TensorFlow failed: {error.message.splitlines()[0]}") from error

    def _compiled(self, num_inputs: int | None) -> Any:
        """The graph for a number of inputs; for any (None), it is None where the graph was made for one and mixes several up."""
        signature = [tf.TensorSpec((num_inputs, *self.input.shape[1:]), self.input.dtype)]
        function = tf.function(self.call, input_signature=signature, autograph=False)
        try:
            shape = tuple(function.get_concrete_function().output_shapes)
        except ValueError:
            if num_inputs is None:
                return None
            raise
        return function if shape == (num_inputs, *self.output.shape[1:]) else None


def open_model(content: bytes, path: Path, threads: int) -> TensorFlowModel:
    """Load the content of a `.tflite` file; see `streamvc.inference.runtime.open_model`.

    The number of threads is the process's, and the first one given holds.
    """
    with suppress(RuntimeError):  # TensorFlow is running already
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    # GPUs would round to 10 bits of mantissa by default, and scores would differ from the other runtimes'.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        return TensorFlowModel(Graph(content, path), path)
    except InferenceError:
        raise
    except Exception as error:  # as a damaged file makes it
        raise InferenceError(f"{path}: not a model that this runtime can run") from error
