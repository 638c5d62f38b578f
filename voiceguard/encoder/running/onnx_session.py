"""ONNX Runtime: opens a model from its bytes, on a device. Imported when a graph is, not before."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceguard.errors import EncoderError, install_command

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

OLDEST = (1, 20)
"""Of ONNX Runtime: the first that knows numpy 2 on every Python that voiceguard runs on."""

_ERRORS_ONLY = 3
_CUDA = "CUDAExecutionProvider"
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""NVIDIA's, that of Windows' subsystem for Linux, AMD's."""
_OPERATORS_ARE_MISSING = ("is not a registered function", "No Op registered", "NOT_IMPLEMENTED")


def require(name: str, purpose: str, *, package: str = "onnxruntime") -> ModuleType:
    """Imports an optional package.

    Args:
        name: Its import name.
        purpose: What needs it, the sentence's subject: "running an ONNX encoder".
        package: What brings it.

    Raises:
        EncoderError: It isn't installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EncoderError(
            f"{purpose} needs the package {name}, which can't be imported: {error}",
            hint=f"run: {install_command(package)}",
        ) from error


def open_session(
    model: bytes | Path, what: str, *, device: str = "cpu", num_threads: int = 1
) -> tuple[Any, str]:
    """An ``onnxruntime.InferenceSession`` and the device that it runs on ("cpu" or "cuda:N").

    Args:
        model: The file's content, without external data; or its path, with that beside it.
        what: Names the file in errors.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        num_threads: How many CPU threads work on one input.

    Raises:
        EncoderError: onnxruntime is missing, can't use the device, or refuses the model.
    """
    onnxruntime = require("onnxruntime", "running an ONNX encoder")
    _check_age(onnxruntime.__version__)
    index = _cuda_index(device, onnxruntime)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Memory is the system's again after every input, at 1 % of the time: kept, it is 15 MB.
    options.enable_cpu_mem_arena = False
    # Idle threads must not spin: the daemon waits for speech most of the time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    given = model if isinstance(model, bytes) else str(model)
    providers: list[Any] = ["CPUExecutionProvider"]
    if index is not None:
        providers.insert(0, (_CUDA, {"device_id": index}))
    try:
        session = onnxruntime.InferenceSession(given, options, providers=providers)
    except Exception as error:  # onnxruntime raises classes of its own for each kind of fault
        raise EncoderError(
            f"{what} can't be run by ONNX Runtime {onnxruntime.__version__}: {_first_line(error)}",
            hint="A newer onnxruntime may know its operators; a damaged file must be restored."
            if any(words in str(error) for words in _OPERATORS_ARE_MISSING)
            else "Restore the file from where you have it.",
        ) from error
    return session, _runs_on(session, device, index)


class OnnxSession:
    """A graph of ours in ONNX Runtime, see ``graph_encoder.Session``.

    Args:
        graph: The file's content.
        what: Names it in errors.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        num_threads: How many CPU threads work on one input.
    """

    def __init__(self, graph: bytes, what: str, *, device: str, num_threads: int) -> None:
        self._session, self.runs_on = open_session(
            graph, what, device=device, num_threads=num_threads
        )
        (given,), (made,) = self._session.get_inputs(), self._session.get_outputs()
        self._given, self._made = given.name, [made.name]

    def run(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(frames, num_bands)`` to ``(1, embedding_dim)``."""
        found: NDArray[np.float32] = self._session.run(self._made, {self._given: features})[0]
        return found


def _check_age(version: str) -> None:
    """Whether this ONNX Runtime is one that voiceguard is tested with.

    Raises:
        EncoderError: It is older.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise EncoderError(
            f"onnxruntime {version} is too old: at least {oldest} is needed",
            hint=f"run: {install_command('onnxruntime')} --upgrade",
        )


def _cuda_index(device: str, onnxruntime: ModuleType) -> int | None:
    """Which CUDA device; None: the CPU.

    Raises:
        EncoderError: CUDA is asked for, and this onnxruntime can't.
    """
    if device == "cpu" or (device == "auto" and not may_have_gpu()):
        return None
    available = onnxruntime.get_available_providers()
    if _CUDA in available:
        return int(device.partition(":")[2] or 0)
    if device == "auto":
        return None
    raise EncoderError(
        f"encoder.device is {device!r}, but onnxruntime {onnxruntime.__version__} has no CUDA: "
        f"it offers {', '.join(available)}",
        hint="Set device to 'auto' or 'cpu', or install onnxruntime-gpu in onnxruntime's place.",
    )


def _runs_on(session: Any, device: str, index: int | None) -> str:  # noqa: ANN401 - of onnxruntime
    """Where a session computes; ONNX Runtime goes to the CPU by itself where CUDA fails.

    Raises:
        EncoderError: CUDA is asked for, and failed.
    """
    if index is not None and _CUDA in session.get_providers():
        return f"cuda:{index}"
    if index is not None and device != "auto":
        raise EncoderError(
            f"encoder.device is {device!r}, but ONNX Runtime can't use that GPU: there is none, or "
            "its driver or CUDA's libraries are missing",
            hint="Its own words on standard error name what is missing. Or set device to 'auto' or "
            "'cpu'.",
        )
    return "cpu"


def may_have_gpu() -> bool:
    """Whether a driver is there, without loading what would use it."""
    return any(Path(driver).exists() for driver in _GPU_DRIVERS)


def _first_line(error: Exception) -> str:
    """What is wrong, without the runtime's file names and line numbers."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
