"""Measures encoders beside each other on this machine, each in fresh processes.

In: names of encoders. Out: per encoder its size, milliseconds per window on every device that there
is, the real-time factor of rolling windows, memory and start-up. A process of its own per device
and number of threads: torch keeps its threads for a process's life, and memory is told apart only
between processes. ``python -m voiceguard.lab.bench.encoders`` is that process's program.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from voiceguard.lab.bench.memory import peak_memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.encoder.config import Runtime
    from voiceguard.protocols import Encoder

WINDOWS_S = (1.0, 2.0, 3.0)
NUM_REPEATS = 20
ROLLING_S = 10.0
"""Of speech, after which the real-time factor is steady."""
TIMEOUT_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an encoder runs."""

    device: str
    """cpu or cuda."""
    num_threads: int
    """On the CPU."""

    def __str__(self) -> str:
        threads = f"{self.num_threads} thread{'s' if self.num_threads > 1 else ''}"
        return f"CPU, {threads}" if self.device == "cpu" else "CUDA"


ON_CPU = (Place(device="cpu", num_threads=1), Place(device="cpu", num_threads=2))
ON_CUDA = Place(device="cuda", num_threads=1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one process measured."""

    place: Place
    encoder_id: str
    num_parameters: int
    embedding_dim: int
    start_up_s: float
    """From the process's start until the encoder has embedded once, with Python and the runtime."""
    window_ms: dict[str, float]
    """Median per length of window ("1", "2", "3" s), features included."""
    rolling_rtf: float
    """Seconds of work per second of speech: speech activity, windows as the daemon cuts them, and
    their embeddings."""
    memory_mb: float
    """Resident, the highest."""
    precision: str
    """float32, or half where the encoder runs so."""
    num_cuda: int
    """Devices that torch sees."""
    runtime: str
    """torch, onnx or openvino."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One encoder; a fault instead of runs where it can't be measured."""

    name: str
    runs: tuple[Run, ...]
    fault: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"name": self.name, "fault": self.fault, "runs": [asdict(run) for run in self.runs]}


def measure(
    name: str,
    models_dir: Path,
    runtime: str = "auto",
    *,
    on_progress: Callable[[str, Place], None] = lambda _name, _place: None,
) -> Measured:
    """Measures one encoder on the CPU with one and two threads, and on CUDA where there is one.

    Args:
        name: As ``library.find_model`` takes it.
        models_dir: Where installed encoders are.
        runtime: As ``EncoderConfig.runtime``.
        on_progress: Told what begins.
    """
    places = list(ON_CPU)
    runs: list[Run] = []
    while places:
        place = places.pop(0)
        on_progress(name, place)
        found = _in_a_process(name, models_dir, runtime, place)
        if isinstance(found, str):
            return Measured(name=name, runs=tuple(runs), fault=found)
        runs.append(found)
        if found.num_cuda and len(runs) == len(ON_CPU):
            places.append(ON_CUDA)
    return Measured(name=name, runs=tuple(runs))


def _in_a_process(name: str, models_dir: Path, runtime: str, place: Place) -> Run | str:
    """What it measured, or why it could not."""
    order = {"name": name, "models_dir": str(models_dir), "runtime": runtime, **asdict(place)}
    order |= {"num_repeats": NUM_REPEATS, "began_s": time.time()}
    try:
        finished = subprocess.run(  # noqa: S603 - this very program
            [sys.executable, "-m", "voiceguard.lab.bench.encoders", json.dumps(order)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {TIMEOUT_S:.0f} s on {place}"
    if finished.returncode:
        return finished.stderr.strip().rpartition("\n")[2] or f"exit code {finished.returncode}"
    return Run(place=place, **json.loads(finished.stdout))


# --- in the process of its own --------------------------------------------------------------


def main(argument: str) -> int:
    """Measures one encoder in one place; JSON on standard output, or a line on standard error."""
    from voiceguard.errors import VoiceguardError  # noqa: PLC0415 - all of this is start-up time

    order = json.loads(argument)
    try:
        print(json.dumps(_measured(**order)))  # noqa: T201 - its output
    except VoiceguardError as error:
        print(error, file=sys.stderr)  # noqa: T201 - likewise
        return 1
    return 0


def _measured(
    *,
    name: str,
    models_dir: str,
    runtime: Runtime,
    device: str,
    num_threads: int,
    num_repeats: int,
    began_s: float,
) -> dict[str, Any]:
    from pathlib import Path  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    from voiceguard.encoder.loading import load_encoder  # noqa: PLC0415
    from voiceguard.types import SAMPLE_RATE_HZ  # noqa: PLC0415

    encoder = load_encoder(name, device, num_threads, Path(models_dir), runtime)
    shortest_s = max(1.0, encoder.info.min_window_s + 0.01)
    encoder.embed(np.full(round(shortest_s * SAMPLE_RATE_HZ), 0.1, np.float32))
    start_up_s = time.time() - began_s

    from voiceguard.lab.bench.daemon import time_encoder  # noqa: PLC0415

    lengths = tuple(each for each in WINDOWS_S if each >= encoder.info.min_window_s)
    timings = time_encoder(encoder, windows_s=lengths, num_repeats=num_repeats)
    rolling_rtf = _rolling_rtf(encoder)
    info = encoder.info
    return {
        "encoder_id": info.encoder_id,
        "num_parameters": info.num_parameters,
        "embedding_dim": info.embedding_dim,
        "start_up_s": round(start_up_s, 2),
        "window_ms": {f"{timing.window_s:g}": timing.median_ms for timing in timings},
        "rolling_rtf": round(rolling_rtf, 5),
        "memory_mb": round(peak_memory_mb(), 1),
        "precision": _precision(encoder, device),
        "num_cuda": _num_cuda(),
        "runtime": info.runtime,
    }


def _rolling_rtf(encoder: Encoder) -> float:
    """The daemon's way from samples to embeddings, on the demo's sentences, as fast as it goes."""
    import numpy as np  # noqa: PLC0415

    from voiceguard.audio.files import load_audio  # noqa: PLC0415
    from voiceguard.demo.scene import load_scene  # noqa: PLC0415
    from voiceguard.speech.ear import Ear  # noqa: PLC0415
    from voiceguard.speech.gate import SpeechGate  # noqa: PLC0415
    from voiceguard.speech.vad import make_vad  # noqa: PLC0415
    from voiceguard.speech.windows import WindowCutter  # noqa: PLC0415
    from voiceguard.types import SAMPLE_RATE_HZ, Window  # noqa: PLC0415

    speech = np.concatenate([load_audio(take) for take in load_scene().takes])
    samples = speech[: round(ROLLING_S * SAMPLE_RATE_HZ)]
    ear, stream = Ear(SpeechGate(make_vad()), WindowCutter()), encoder.open_stream()
    block = SAMPLE_RATE_HZ // 50
    began = time.perf_counter()
    for first in range(0, len(samples), block):
        for item in ear.push(samples[first : first + block]):
            if isinstance(item, Window):
                stream.embed(item)
    return (time.perf_counter() - began) / (len(samples) / SAMPLE_RATE_HZ)


def _num_cuda() -> int:
    """Devices that torch sees, where it is what runs the encoder."""
    torch: Any = sys.modules.get("torch")
    return torch.cuda.device_count() if torch and torch.cuda.is_available() else 0


def _precision(encoder: Encoder, device: str) -> str:
    """ECAPA2 runs in half precision on CUDA, as its publisher recommends; nothing else does."""
    is_half = device == "cuda" and type(encoder).__name__ == "Ecapa2Encoder"
    return "half" if is_half else "float32"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
