"""An ONNX file's graph: opened once at import, its names, axes and sizes checked, tried.

In: the file. Out: ``Graph``, which knows the one input and output that count. Files that keep
their weights elsewhere are refused: a path inside a file from somewhere else is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voiceguard.encoder.card.program_config import MAX_EMBEDDING_DIM, Layout
from voiceguard.encoder.running.onnx_session import open_session, require
from voiceguard.errors import EncoderError
from voiceguard.types import FRAME_SAMPLES
from voiceguard.validation.files import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from voiceguard.encoder.foreign.programs.sidecar import Sidecar

MAX_BYTES = 2**31 - 1
"""Protocol buffers can't be larger."""
TRIED_S = 2.0
"""Besides the shortest input, one of this length is tried."""

_OUTPUT_NAMES = ("embs", "embedding", "embeddings")
_RESTORE = "Restore the file from where you have it."
Shape = tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A graph that ONNX Runtime accepts, and the input and output that count."""

    path: Path
    input: str
    input_shape: Shape
    """None: any size."""
    output: str
    output_shape: Shape
    metadata: Mapping[str, str]
    num_parameters: int
    session: Any = field(repr=False)

    @property
    def rank(self) -> int:
        """Number of the input's axes."""
        return len(self.input_shape)

    @property
    def described(self) -> str:
        """Input and output, for people."""
        return (
            f"input {self.input} {self.shown(self.input_shape)}, "
            f"output {self.output} {self.shown(self.output_shape)}"
        )

    @staticmethod
    def shown(shape: Shape) -> str:
        """``(?, ?, 80)``."""
        return f"({', '.join('?' if size is None else str(size) for size in shape)})"

    def find_embedding_dim(self, num_bands: int, min_frames: int) -> int:
        """The output's size: as the graph states it, else as it comes out.

        Raises:
            EncoderError: It can't be run on the shortest input, or gives something else.
        """
        stated = self.output_shape[-1] if self.output_shape else None
        if stated is not None:
            return stated
        given = np.zeros((1, max(min_frames - 2, 1), num_bands), np.float32)
        return int(self._run(given).shape[-1])

    def check(self, sidecar: Sidecar) -> None:
        """Holds the graph to its description, and tries it on two lengths.

        Raises:
            EncoderError: Axes, bands or dimensions are others; the time axis is fixed; it gives
                something else than finite numbers of the right shape.
        """
        stated = self.metadata.get("output_dim")
        dims = {self.output_shape[-1], None if stated is None else _number(stated)} - {None}
        for dim in dims - {sidecar.embedding_dim}:
            raise self._contradiction("embedding_dim", sidecar.embedding_dim, dim)
        lengths = {round(sidecar.min_seconds * 100), round(TRIED_S * 100) + sidecar.min_frames}
        for frames in sorted(lengths):
            self._check_run(self._example(sidecar, frames * FRAME_SAMPLES), sidecar.embedding_dim)

    def _example(self, sidecar: Sidecar, num_samples: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The input for some noise, checked against the axes that the graph states."""
        generator = torch.Generator().manual_seed(0)
        noise = 0.1 * torch.randn(num_samples, generator=generator)
        with torch.inference_mode():
            features = sidecar.features.build()(noise)  # (num_bands, frames)
        if sidecar.layout is Layout.TIME_BANDS:
            features = features.T.unsqueeze(0)
        elif sidecar.layout is Layout.BANDS_TIME:
            features = features.unsqueeze(0)
        given: np.ndarray[Any, np.dtype[np.float32]] = features.contiguous().numpy()
        if given.ndim != self.rank:
            raise self._contradiction("layout", sidecar.layout.value, self.shown(self.input_shape))
        bands_axis = {Layout.TIME_BANDS: 2, Layout.BANDS_TIME: 1}.get(sidecar.layout)
        for axis, (size, stated) in enumerate(zip(given.shape, self.input_shape, strict=True)):
            if stated in (None, size):
                continue
            if axis == bands_axis:
                raise self._contradiction("number of bands", size, stated)
            what = "batch" if axis == 0 else "time"
            raise EncoderError(
                f"{self.path}: the {what} axis of its input {self.input} "
                f"{self.shown(self.input_shape)} is fixed at {stated}; it must be "
                f"{'1 or ' if axis == 0 else ''}dynamic",
                hint="Export the model again with dynamic_axes (or dynamic_shapes) for that axis.",
            )
        return given

    def _check_run(self, given: np.ndarray[Any, Any], embedding_dim: int) -> None:
        raw = self._run(given)
        if raw.shape != (1, embedding_dim):
            raise self._contradiction("output", f"(1, {embedding_dim})", raw.shape)
        if not np.isfinite(raw).all():
            raise EncoderError(
                f"{self.path} gives values that are not numbers (NaN or infinite) for ordinary "
                "noise",
                hint="It is damaged, or expects other features than its description says.",
            )

    def _run(self, given: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        try:
            return np.asarray(self.session.run([self.output], {self.input: given})[0])
        except Exception as error:  # onnxruntime raises classes of its own for each kind of fault
            raise EncoderError(
                f"{self.path} can't be run on an input of shape {given.shape}: "
                f"{str(error).strip().splitlines()[0][:300]}",
                hint="Its description, or its min_seconds, may not fit; or it is damaged.",
            ) from error

    def _contradiction(self, what: str, said: object, found: object) -> EncoderError:
        return EncoderError(
            f"{self.path} contradicts its description: {what} should be {said}, but is {found}",
            hint="Correct the sidecar, or restore the file that belongs to it.",
        )


def read_graph(
    path: Path, *, input_name: str | None = None, output_name: str | None = None
) -> Graph:
    """Opens an ONNX file.

    Args:
        path: The file.
        input_name: Which input counts; None: there is but one.
        output_name: Which output is the embedding; None: the only one, or that of a known name.

    Raises:
        EncoderError: The extra ``onnx`` is missing; the file is damaged, keeps weights elsewhere,
            or has no such input or output; their element type isn't float32.
    """
    content = _read(path)
    num_parameters = _num_parameters(content, path)
    session, _ = open_session(content, str(path))
    given = _choose(path, "input", session.get_inputs(), input_name, ())
    wanted = _choose(path, "output", session.get_outputs(), output_name, _OUTPUT_NAMES)
    output_shape = _shape(path, "output", wanted)
    if len(output_shape) != 2:
        raise EncoderError(
            f"{path}: its output {wanted.name} {Graph.shown(output_shape)} is not "
            "(batch, dimensions)",
            hint="An encoder gives one vector per recording.",
        )
    return Graph(
        path=path,
        input=given.name,
        input_shape=_shape(path, "input", given),
        output=wanted.name,
        output_shape=output_shape,
        metadata=dict(session.get_modelmeta().custom_metadata_map),
        num_parameters=num_parameters,
        session=session,
    )


def _num_parameters(content: bytes, path: Path) -> int:
    """How many numbers the file stores; read_graph says what is raised."""
    onnx = require("onnx", "reading an ONNX encoder", package="onnx")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # the protobuf library's own class, which depends on its version
        raise EncoderError(
            f"{path} is not an ONNX model, or is damaged: {error}", hint=_RESTORE
        ) from error
    tensors = list(_tensors(model.graph))
    tensors += [tensor for each in model.functions for tensor in _tensors_of_nodes(each.node)]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
        raise EncoderError(
            f"{path} keeps weights in other files, which are not followed",
            hint="Save it as one file: onnx.save(onnx.load(PATH), NEW_PATH).",
        )
    return sum(int(np.prod(tensor.dims)) for tensor in tensors if len(tensor.dims))


def _read(path: Path) -> bytes:
    try:
        return read_whole(path, MAX_BYTES)
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}", hint=_RESTORE) from error


def _tensors(graph: Any) -> Iterator[Any]:  # noqa: ANN401 - a GraphProto
    """Every stored tensor, those of nodes and of graphs inside nodes too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Any) -> Iterator[Any]:  # noqa: ANN401 - a list of NodeProto
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _tensors(inner)


def _choose(
    path: Path, what: str, there: Sequence[Any], name: str | None, usual: Sequence[str]
) -> Any:  # noqa: ANN401 - onnxruntime's NodeArg
    """The input or output that counts."""
    by_name = {each.name: each for each in there}
    names = ", ".join(by_name) or "none"
    if name is not None:
        if name not in by_name:
            raise EncoderError(
                f"{path} has no {what} {name!r}; it has {names}",
                hint="Correct the sidecar.",
            )
        if what == "input" and len(there) > 1:
            raise EncoderError(
                f"{path} needs {len(there)} inputs ({names}); an encoder takes the audio and "
                "nothing else",
                hint="Export it again with the others as constants.",
            )
        return by_name[name]
    if len(there) == 1:
        return there[0]
    if known := [by_name[each] for each in usual if each in by_name]:
        return known[0]
    raise EncoderError(
        f"{path} has {len(there)} {what}s ({names}); which one counts is not known",
        hint=f"Describe it in {path.name}.json beside it, with {what!r}.",
    )


def _shape(path: Path, what: str, there: Any) -> Shape:  # noqa: ANN401 - onnxruntime's NodeArg
    if there.type != "tensor(float)":
        raise EncoderError(
            f"{path}: its {what} {there.name} is {there.type}; expected tensor(float), float32",
            hint="Export it with float32 inputs and outputs.",
        )
    return tuple(size if isinstance(size, int) else None for size in there.shape)


def _number(text: str) -> int:
    """A size in the metadata; 0 for anything that isn't one, which fits no embedding."""
    return int(text) if text.isdecimal() and int(text) <= MAX_EMBEDDING_DIM else 0
