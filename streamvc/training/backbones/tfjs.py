"""Reads graph models of TensorFlow.js: a JSON file that names the nodes of a graph and where the weights of each constant lie in a file of numbers.

It knows the operations of the graphs that this project reads, and refuses all others.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from streamvc.errors import DataError
from streamvc.training.tensorflow import tf
from streamvc.types import Array

Operation = Callable[..., Any]


class Node:
    """A node of a graph: its operation, the names of its inputs and its attributes."""

    def __init__(self, node: Mapping[str, Any]) -> None:
        self.name: str = node["name"]
        self.op: str = node["op"]
        self.inputs: list[str] = [name.removeprefix("^") for name in node.get("input", [])]
        self._attributes: Mapping[str, Any] = node.get("attr", {})

    def integer(self, name: str) -> int:
        """A whole number; 0 where it has none of this name."""
        return int(self._attributes.get(name, {}).get("i", 0))

    def integers(self, name: str) -> list[int]:
        """Whole numbers."""
        return [int(number) for number in self._attributes[name]["list"]["i"]]

    def flag(self, name: str) -> bool:
        """Yes or no; no where it has none of this name."""
        return bool(self._attributes.get(name, {}).get("b"))

    def text(self, name: str) -> str:
        """A text."""
        return b64decode(self._attributes[name]["s"]).decode()

    def texts(self, name: str) -> list[str]:
        """Texts."""
        return [b64decode(text).decode() for text in self._attributes[name]["list"]["s"]]

    def dtype(self, name: str) -> Any:
        """A type."""
        return getattr(tf, self._attributes[name]["type"].removeprefix("DT_").lower().replace("float", "float32"))


def _convolution(node: Node, x: Any, weight: Array, *more: Any) -> Any:
    """A convolution, and what is fused with it: a bias, then an activation."""
    convolve = tf.nn.depthwise_conv2d if "Depthwise" in node.op else tf.nn.conv2d
    y = convolve(x, weight, node.integers("strides"), node.text("padding"))
    for fused in node.texts("fused_ops") if "Fused" in node.op else []:
        y = y + more[0] if fused == "BiasAdd" else FUSED[fused](y)
    return y


def _resize_bilinear(node: Node, x: Any, size: Array) -> Any:
    corners, halves = node.flag("align_corners"), node.flag("half_pixel_centers")
    return tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=corners, half_pixel_centers=halves)


FUSED: dict[str, Operation] = {"Relu": tf.nn.relu, "Relu6": tf.nn.relu6}
OPERATIONS: dict[str, Operation] = {
    "AddV2": lambda _, x, y: x + y,
    "ArgMax": lambda node, x, axis: tf.argmax(x, int(axis), node.dtype("output_type")),
    "Cast": lambda node, x: tf.cast(x, node.dtype("DstT")),
    "ConcatV2": lambda _, *x: tf.concat(x[:-1], int(x[-1])),
    "DepthwiseConv2dNative": _convolution,
    "ExpandDims": lambda _, x, axis: tf.expand_dims(x, axis),
    "FloorDiv": lambda _, x, y: x // y,
    "FusedDepthwiseConv2dNative": _convolution,
    "GatherNd": lambda _, x, indices: tf.gather_nd(x, indices),
    "Identity": lambda _, x: x,
    "Mul": lambda _, x, y: x * y,
    "Pack": lambda node, *x: tf.stack(x, node.integer("axis")),
    "RealDiv": lambda _, x, y: x / y,
    "Reshape": lambda _, x, shape: tf.reshape(x, shape),
    "ResizeBilinear": _resize_bilinear,
    "Sigmoid": lambda _, x: tf.sigmoid(x),
    "Sqrt": lambda _, x: tf.sqrt(x),
    "SquaredDifference": lambda _, x, y: tf.math.squared_difference(x, y),
    "Squeeze": lambda node, x: tf.squeeze(x, node.integers("squeeze_dims")),
    "Sub": lambda _, x, y: x - y,
    "Unpack": lambda node, x: tf.unstack(x, axis=node.integer("axis")),
    "_FusedConv2D": _convolution,
}


class JsGraph:
    """A graph with one input and one output, as a function of TensorFlow tensors."""

    def __init__(self, topology: bytes, weights: bytes) -> None:
        """Read the JSON file, and the file of weights that it names.

        Raises:
            DataError: The graph has an operation that is not known, or not one input.
        """
        content = json.loads(topology)
        self._nodes = [Node(node) for node in content["modelTopology"]["node"]]
        if unknown := sorted({node.op for node in self._nodes} - {"Const", "Placeholder", *OPERATIONS}):
            raise DataError(f"the graph has the operation {unknown[0]}, which is not known here")
        sources = [node.name for node in self._nodes if node.op == "Placeholder"]
        if len(sources) != 1:
            raise DataError(f"the graph has {len(sources)} inputs, not one")
        (self._source,) = sources
        ((self._sink, _),) = content["signature"]["outputs"].items()
        (group,) = content["weightsManifest"]
        self._constants = _constants(group["weights"], weights)

    def __call__(self, x: Any) -> Any:
        """The output for an input."""
        values: dict[str, Any] = {self._source: x, **self._constants}
        waiting = [node for node in self._nodes if node.op in OPERATIONS]
        while waiting:  # the nodes of a file are in any order
            ready = [node for node in waiting if all(name in values for name in node.inputs)]
            if not ready:
                raise DataError(f"the graph's node {waiting[0].name} needs what no node gives")
            for node in ready:
                result = OPERATIONS[node.op](node, *(values[name] for name in node.inputs))
                results = result if isinstance(result, list) else [result]
                values.update({f"{node.name}:{number}": each for number, each in enumerate(results)}, **{node.name: results[0]})
            waiting = [node for node in waiting if node.name not in values]
        return values[self._sink]


def _constants(specs: list[dict[str, Any]], weights: bytes) -> dict[str, Array]:
    """The constants by name. Those that are kept as float16 become float32."""
    constants: dict[str, Array] = {}
    offset = 0
    for spec in specs:
        kept = np.dtype(spec.get("quantization", spec)["dtype"]).newbyteorder("<")
        count = int(np.prod(spec["shape"]))
        values = np.frombuffer(weights, kept, count, offset).reshape(spec["shape"])
        constants[spec["name"]] = values.astype(spec["dtype"])
        offset += count * kept.itemsize
    return constants
