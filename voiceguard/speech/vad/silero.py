"""Silero detector: a small neural network's probability of speech (hop 2 of 6).

On the caller's thread, the event loop in the daemon (measured 0.1 ms of processor time per 32 ms of
audio). In: mono 16 kHz blocks of any size. Out: one score per 10 ms frame. The network comes inside
the ``silero_vad`` package (MIT) and is run by ONNX Runtime directly: importing that package would
import torch for nothing.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.errors import ConfigError, install_command
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from voiceguard.types import Samples

MODEL_NAME = "silero_vad.onnx"
"""Silero VAD 6, MIT, by the Silero Team."""
CHUNK_SAMPLES = 512
CONTEXT_SAMPLES = 64
"""What the network wants to see of the chunk before."""


class SileroVad:
    """Scores frames with a probability of speech. Implements ``VoiceActivityDetector``.

    A frame has the probability of the chunk that its middle lies in, and is scored once the chunk
    with its last sample is complete.

    Args:
        enter_score: Probability that starts speech.
        exit_score: Probability below which a frame is no speech.

    Raises:
        ConfigError: The network or what runs it is not installed.
    """

    def __init__(self, *, enter_score: float, exit_score: float) -> None:
        self.enter_score = enter_score
        self.exit_score = exit_score
        self.left_out_s = 0.0
        self._session = open_session()
        self._rate = np.array(SAMPLE_RATE_HZ, dtype=np.int64)
        self._kept: Samples = np.zeros(CONTEXT_SAMPLES, dtype=np.float32)
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._probability = 0.0
        self._num_chunks = 0
        self._num_frames = 0

    def push(self, samples: Samples) -> list[float]:
        self._kept = np.concatenate((self._kept, samples))
        scores: list[float] = []
        while len(self._kept) >= CONTEXT_SAMPLES + CHUNK_SAMPLES:
            before, probability = self._probability, self._run()
            chunk_start = self._num_chunks * CHUNK_SAMPLES
            self._num_chunks += 1
            while (self._num_frames + 1) * FRAME_SAMPLES <= chunk_start + CHUNK_SAMPLES:
                middle = self._num_frames * FRAME_SAMPLES + FRAME_SAMPLES // 2
                scores.append(before if middle < chunk_start else probability)
                self._num_frames += 1
            self._probability = probability
        return scores

    def finish(self) -> list[float]:
        num_left = (len(self._kept) - CONTEXT_SAMPLES + self._num_chunks * CHUNK_SAMPLES) // (
            FRAME_SAMPLES
        ) - self._num_frames
        return self.push(np.zeros(CHUNK_SAMPLES, dtype=np.float32))[:num_left]

    def take_clear(self, _first: int, _end: int) -> int | None:
        return None

    def reset(self) -> None:
        self._kept = np.zeros(CONTEXT_SAMPLES, dtype=np.float32)
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._probability = 0.0
        self._num_chunks = 0
        self._num_frames = 0

    def _run(self) -> float:
        chunk = self._kept[np.newaxis, : CONTEXT_SAMPLES + CHUNK_SAMPLES]
        output, self._state = self._session.run(
            None, {"input": chunk, "state": self._state, "sr": self._rate}
        )
        self._kept = self._kept[CHUNK_SAMPLES:]
        return float(output[0, 0])


@cache
def open_session() -> Any:  # noqa: ANN401  # onnxruntime has no types
    """The network, one for all streams: it has no state of theirs, and takes 30 ms to load.

    Raises:
        ConfigError: It is not there, or can't be run.
    """
    try:
        import onnxruntime  # noqa: PLC0415  # slow to import, and not everywhere installed

        package = importlib.util.find_spec("silero_vad")  # finds it without importing it
    except ImportError:
        package = None
    folders = package.submodule_search_locations if package is not None else None
    if not folders or not (model := Path(folders[0]) / "data" / MODEL_NAME).is_file():
        raise ConfigError(
            "the packages that hear speech, silero-vad and onnxruntime, are not installed",
            hint=f"run `{install_command('silero-vad', 'onnxruntime')}`, or set vad.backend to "
            "energy",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # 14 MB that nothing here needs; no slower
    try:
        return onnxruntime.InferenceSession(
            str(model), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own kinds, which have no common base
        raise ConfigError(
            f"{model} can't be run: {error}",
            hint=f"run `{install_command('silero-vad', 'onnxruntime')} --force-reinstall`, or set "
            "vad.backend to energy",
        ) from error
