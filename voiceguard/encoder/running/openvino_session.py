"""OpenVINO, an optional package: runs graphs of ours on a CPU, in float32 like every other runtime.

On processors with matrix units for bfloat16 it takes half the time in that precision, but the
embeddings differ in the third digit: further than voiceprints and calibrations of another runtime
allow. ``python -m tests.benchmarks.runtimes`` measures it beside the others.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from voiceguard.encoder.running.onnx_session import require
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OpenvinoSession:
    """A graph of ours in OpenVINO, see ``graph_encoder.Session``. Calls take turns.

    Args:
        graph: The file's content, of ONNX.
        what: Names it in errors.
        device: ``auto`` or ``cpu``.
        num_threads: How many CPU threads work on one input.
        precision: "f32", or "bf16" where the processor has it.

    Raises:
        EncoderError: openvino is missing, can't use the device, or refuses the graph.
    """

    runs_on = "cpu"

    def __init__(
        self, graph: bytes, what: str, *, device: str, num_threads: int, precision: str = "f32"
    ) -> None:
        openvino = require("openvino", "running an encoder on OpenVINO", package="openvino")
        if device.startswith("cuda"):
            raise EncoderError(
                f"encoder.device is {device!r}, but OpenVINO runs on the CPU here",
                hint="Set device to 'auto' or 'cpu', or encoder.runtime to 'torch'.",
            )
        how = {
            "INFERENCE_NUM_THREADS": num_threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": precision,
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(graph), "CPU", how)
        except RuntimeError as error:
            line = (str(error).strip() or "it does not say why").splitlines()[-1]
            raise EncoderError(
                f"{what} can't be run by OpenVINO {openvino.__version__}: {line[:300]}",
                hint="Set encoder.runtime to 'onnx' or 'torch'.",
            ) from error
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def run(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(frames, num_bands)`` to ``(1, embedding_dim)``."""
        with self._lock:
            found: NDArray[np.float32] = self._request.infer([features])[0].copy()
        return found
