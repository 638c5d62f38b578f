"""An ONNX file, put together operator by operator; needs neither torch nor the package onnx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.encoder.export import protobuf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

OPSET = 17
IR_VERSION = 8
"""Both old enough for the runtimes of 2022."""

FEATURES_INPUT = "features"
WAVEFORM_INPUT = "waveform"
OUTPUT = "embedding"

_FLOAT, _INT64 = 1, 7  # of TensorProto.DataType
_OF_FLOAT, _OF_INT, _OF_STRING, _OF_INTS = 1, 2, 3, 7  # of AttributeProto.AttributeType


class Graph:
    """Nodes and constants so far; every value has a name."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def model(
        self,
        name: str,
        given: tuple[str, Sequence[str | int]],
        made: tuple[str, Sequence[str | int]],
    ) -> bytes:
        """The file.

        Args:
            name: Of the graph.
            given: Name and shape of its float32 input.
            made: Likewise of its output.
        """
        graph = [
            *(protobuf.part(1, node) for node in self._nodes),
            protobuf.part(2, name),
            *(protobuf.part(5, constant) for constant in self._constants),
            protobuf.part(11, _value(*given)),
            protobuf.part(12, _value(*made)),
        ]
        opset = protobuf.part(1, "") + protobuf.whole(2, OPSET)
        return b"".join(
            [
                protobuf.whole(1, IR_VERSION),
                protobuf.part(2, "voiceguard"),
                protobuf.part(7, b"".join(graph)),
                protobuf.part(8, opset),
            ]
        )

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:  # noqa: ANN401 - whatever the operator takes
        """Adds a node with one output; that one's name."""
        name = name or f"{kind}_{len(self._nodes)}"
        self._add(kind, inputs, [name], attributes)
        return name

    def split(self, x: str, sizes: Sequence[int]) -> list[str]:
        """Parts of the channels."""
        names = [f"Split_{len(self._nodes)}_{index}" for index in range(len(sizes))]
        self._add("Split", [x, self.whole(list(sizes))], names, {"axis": 1})
        return names

    def constant(self, value: ArrayLike) -> str:
        """A float32 array, of any shape."""
        return self._keep(np.ascontiguousarray(value, dtype="<f4"), _FLOAT)

    def whole(self, values: list[int] | int) -> str:
        """Whole numbers: axes, sizes."""
        return self._keep(np.array(values, dtype="<i8"), _INT64)

    def indices(self, values: NDArray[np.int64]) -> str:
        """Likewise, in an array of any shape."""
        return self._keep(np.ascontiguousarray(values, dtype="<i8"), _INT64)

    def _keep(self, array: NDArray[Any], data_type: int) -> str:
        """An array of any shape, inside the file."""
        name = f"constant_{len(self._constants)}"
        tensor = [protobuf.whole(1, size) for size in array.shape]
        tensor += [protobuf.whole(2, data_type), protobuf.part(8, name)]
        tensor.append(protobuf.part(9, array.tobytes()))
        self._constants.append(b"".join(tensor))
        return name

    def _add(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], how: Mapping[str, Any]
    ) -> None:
        node = [protobuf.part(1, each) for each in inputs]
        node += [protobuf.part(2, each) for each in outputs]
        node += [protobuf.part(3, f"{kind}_{len(self._nodes)}"), protobuf.part(4, kind)]
        node += [protobuf.part(5, _attribute(name, value)) for name, value in how.items()]
        self._nodes.append(b"".join(node))


def with_properties(model: bytes, properties: Mapping[str, str]) -> bytes:
    """A file with names and values that tell people, and other programs, what it is.

    Fields of a message may stand in any order, so they are added at its end.
    """
    entries = (protobuf.part(1, k) + protobuf.part(2, v) for k, v in properties.items())
    return model + b"".join(protobuf.part(14, entry) for entry in entries)


def _attribute(name: str, value: object) -> bytes:
    """An ``AttributeProto``."""
    written = protobuf.part(1, name)
    if isinstance(value, int):
        return written + protobuf.whole(3, value) + protobuf.whole(20, _OF_INT)
    if isinstance(value, float):
        return written + protobuf.single(2, value) + protobuf.whole(20, _OF_FLOAT)
    if isinstance(value, str):
        return written + protobuf.part(4, value) + protobuf.whole(20, _OF_STRING)
    assert isinstance(value, list | tuple)
    numbers = b"".join(protobuf.whole(8, each) for each in value)
    return written + numbers + protobuf.whole(20, _OF_INTS)


def _value(name: str, shape: Sequence[str | int]) -> bytes:
    """A ``ValueInfoProto`` of float32; sizes that have a name may be any."""
    sizes = (
        protobuf.part(
            1, protobuf.whole(1, size) if isinstance(size, int) else protobuf.part(2, size)
        )
        for size in shape
    )
    tensor = protobuf.whole(1, _FLOAT) + protobuf.part(2, b"".join(sizes))
    return protobuf.part(1, name) + protobuf.part(2, protobuf.part(1, tensor))
