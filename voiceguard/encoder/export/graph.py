"""An ONNX graph, put together operator by operator; needs the package onnx and no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.encoder.running.onnx_session import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

OPSET = 17
IR_VERSION = 8
"""Both old enough for the runtimes of 2022."""

FEATURES_INPUT = "features"
WAVEFORM_INPUT = "waveform"
OUTPUT = "embedding"


class Graph:
    """Nodes and constants so far; every value has a name.

    Raises:
        EncoderError: The package onnx is missing.
    """

    def __init__(self) -> None:
        self._onnx = require("onnx", "exporting an encoder")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def model(
        self,
        name: str,
        given: tuple[str, Sequence[str | int]],
        made: tuple[str, Sequence[str | int]],
    ) -> Any:  # noqa: ANN401 - a ModelProto
        """The ``onnx.ModelProto``.

        Args:
            name: Of the graph.
            given: Name and shape of its float32 input.
            made: Likewise of its output.
        """
        helper, single = self._onnx.helper, self._onnx.TensorProto.FLOAT
        values = [
            helper.make_tensor_value_info(each, single, shape) for each, shape in (given, made)
        ]
        return helper.make_model(
            helper.make_graph(self.nodes, name, values[:1], values[1:], self.constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="voiceguard",
        )

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:  # noqa: ANN401 - whatever the operator takes
        """Adds a node with one output; that one's name."""
        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def split(self, x: str, sizes: list[int]) -> list[str]:
        """Parts of the channels."""
        names = [f"Split_{len(self.nodes)}_{index}" for index in range(len(sizes))]
        inputs = [x, self.whole(sizes)]
        self.nodes.append(self._onnx.helper.make_node("Split", inputs, names, axis=1))
        return names

    def constant(self, value: ArrayLike) -> str:
        """A float32 array, of any shape."""
        return self.keep(np.ascontiguousarray(value, dtype=np.float32))

    def whole(self, values: list[int] | int) -> str:
        """Whole numbers: axes, sizes."""
        return self.keep(np.array(values, dtype=np.int64))

    def keep(self, array: NDArray[Any]) -> str:
        """An array of any shape, inside the file."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def external(self, name: str, shape: Sequence[int], file: str, offset: int) -> str:
        """A float32 array that lies in another file, from that byte on."""
        tensor = self._onnx.TensorProto(
            name=name,
            data_type=self._onnx.TensorProto.FLOAT,
            dims=shape,
            data_location=self._onnx.TensorProto.EXTERNAL,
        )
        length = 4 * int(np.prod(shape, dtype=np.int64))
        for key, value in (("location", file), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        self.constants.append(tensor)
        return name
