"""Resemblyzer (GE2E, an LSTM over mel spectra) as an encoder: development only.

A rival to stand in the same table (``voiceguard evaluate --model resemblyzer``), and a teacher for
training; no cohort and no calibration are shipped for it, so the daemon would accept nobody. Of
the package (extra ``rivals``, Apache-2.0) only the weights file inside it is used, never its code:
importing it fails where setuptools is new (its voice activity detector imports ``pkg_resources``),
and this does without librosa and numba. The numbers are the package's, which a test holds it to.

In: speech, its long silences already cut (the package's own trimming is not repeated). Out: the
L2-normalised mean of the embeddings of overlapping stretches of 1.6 s.

Source: L. Wan, Q. Wang, A. Papir, I. Lopez Moreno, "Generalized end-to-end loss for speaker
verification", ICASSP 2018; https://github.com/resemble-ai/Resemblyzer, version 0.1.4.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import math
import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from voiceguard.encoder.running.torch_encoder import checked, find_device
from voiceguard.encoder.torchaudio_compat import import_torchaudio
from voiceguard.errors import AudioError, EncoderError, install_command
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, EncoderInfo
from voiceguard.validation.files import read_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voiceguard.types import Embedding, Samples, Window

_MAX_BYTES = 2**27
"""Its weights have 17 MB."""

_REINSTALL = f"run: {install_command('resemblyzer')} --force-reinstall"

NAME = "resemblyzer"
FEATURES_VERSION = "resemblyzer-mel-1"
"""Part of the encoder's id; raised when the features below change."""

MIN_WINDOW_S = 0.5
"""Ours: the package pads whatever there is with zeros to a stretch of 1.6 s."""

NUM_MELS = 40
MEL_WINDOW_SAMPLES = 400
HIDDEN_SIZE = 256
NUM_LAYERS = 3
EMBEDDING_DIM = 256
PARTIAL_FRAMES = 160
PARTIAL_STEP_FRAMES = 77
"""1.3 stretches per second, as ``embed_utterance`` takes them by default."""
MIN_COVERAGE = 0.75
"""A last stretch with less audio than this is left out."""
BATCH_PARTIALS = 64
"""The weights are read once per step for so many; more gains nothing and takes memory."""
TARGET_DBFS = -30.0
"""Quieter audio is amplified to it; louder audio stays as it is."""


class Ge2eNetwork(nn.Module):
    """The network; its tensors have the package's names."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(NUM_MELS, HIDDEN_SIZE, NUM_LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN_SIZE, EMBEDDING_DIM)

    def forward(self, mels: Tensor) -> Tensor:
        """``(batch, frames, NUM_MELS)`` mel power to ``(batch, EMBEDDING_DIM)`` of norm 1."""
        _, (hidden, _) = self.lstm(mels)  # (layers, batch, HIDDEN_SIZE)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


class ResemblyzerEncoder:
    """Implements ``protocols.Encoder``. Calls from several threads take turns.

    Args:
        path: The package's ``pretrained.pt``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        num_threads: How many CPU threads torch uses, in this whole process.

    Raises:
        EncoderError: The file is unreadable or holds something else, or there is no such device.
    """

    def __init__(self, path: Path, *, device: str = "auto", num_threads: int = 1) -> None:
        torch.set_num_threads(num_threads)
        self.device = find_device(device)
        content = _read(path)
        network = _load(path, content)
        digest = hashlib.sha256(content)
        digest.update(FEATURES_VERSION.encode())
        self.info = EncoderInfo(
            encoder_id=digest.hexdigest()[:16],
            name=NAME,
            embedding_dim=EMBEDDING_DIM,
            num_parameters=sum(parameter.numel() for parameter in network.parameters()),
            min_window_s=MIN_WINDOW_S,
            runtime="torch",
        )
        self._network = network.to(self.device)
        self._filters = _mel_filters().to(self.device)  # (bins, NUM_MELS)
        self._window = torch.hann_window(MEL_WINDOW_SAMPLES, device=self.device)
        self._lock = threading.Lock()
        self.embed(np.full(2 * SAMPLE_RATE_HZ, 0.1, np.float32))  # initialises libraries

    def embed(self, samples: Samples) -> Embedding:
        """See ``protocols.Encoder.embed``."""
        return self.embed_many([samples])[0]

    def embed_many(self, recordings: Sequence[Samples]) -> list[Embedding]:
        """Embeds each recording, several times faster than one by one.

        Raises:
            AudioError: As ``embed``, if one of them cannot be embedded.
        """
        with self._lock, torch.inference_mode():
            mels = [
                self._partial_mels(_amplified(checked(samples, self.info, self.device)))
                for samples in recordings
            ]
            batches = torch.split(torch.cat(mels), BATCH_PARTIALS)
            partials = torch.cat([self._network(batch) for batch in batches])
            means = [part.mean(0) for part in torch.split(partials, [len(mel) for mel in mels])]
            rows = nn.functional.normalize(torch.stack(means), dim=1).cpu().numpy()
        if not (np.isfinite(rows).all() and rows.any(axis=1).all()):
            raise AudioError(
                "this audio has no embedding: its samples are far outside [-1, 1]",
                hint="Scale the samples so that full scale is 1.0.",
            )
        return list(rows)

    def open_stream(self) -> ResemblyzerStream:
        """See ``protocols.Encoder.open_stream``."""
        return ResemblyzerStream(self)

    def _partial_mels(self, audio: Tensor) -> Tensor:
        """``(num_samples,)`` to ``(partials, PARTIAL_FRAMES, NUM_MELS)``."""
        starts = partial_starts(len(audio))
        num_samples = (starts[-1] + PARTIAL_FRAMES) * FRAME_SAMPLES
        padded = nn.functional.pad(audio, (0, max(0, num_samples - len(audio))))
        spectrum = torch.stft(
            padded,
            n_fft=MEL_WINDOW_SAMPLES,
            hop_length=FRAME_SAMPLES,
            window=self._window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )  # (bins, frames)
        mel = spectrum.abs().square().T @ self._filters  # (frames, NUM_MELS)
        return torch.stack([mel[start : start + PARTIAL_FRAMES] for start in starts])


class ResemblyzerStream:
    """One stream's windows; nothing is shared between them. See ``protocols.EncoderStream``."""

    def __init__(self, encoder: ResemblyzerEncoder) -> None:
        self._encoder = encoder

    def embed(self, window: Window) -> Embedding:
        """See ``protocols.EncoderStream.embed``."""
        return self._encoder.embed(window.samples)


def partial_starts(num_samples: int) -> list[int]:
    """The frames where stretches begin, by ``VoiceEncoder.compute_partial_slices``."""
    num_frames = math.ceil((num_samples + 1) / FRAME_SAMPLES)
    end = max(1, num_frames - PARTIAL_FRAMES + PARTIAL_STEP_FRAMES + 1)
    starts = list(range(0, end, PARTIAL_STEP_FRAMES))
    coverage = (num_samples / FRAME_SAMPLES - starts[-1]) / PARTIAL_FRAMES
    return starts[:-1] if coverage < MIN_COVERAGE and len(starts) > 1 else starts


def find_weights() -> Path:
    """The weights inside the installed package.

    Raises:
        EncoderError: The extra is not installed.
    """
    package = importlib.util.find_spec("resemblyzer")  # finds it without importing it
    folders = None if package is None else package.submodule_search_locations
    path = Path(folders[0]) / "pretrained.pt" if folders else None
    if path is None or not path.is_file():
        raise EncoderError(
            "encoder 'resemblyzer' needs the package Resemblyzer, which is not installed",
            hint=f"run: {install_command('resemblyzer')}",
        )
    return path


def _read(path: Path) -> bytes:
    try:
        return read_whole(path, _MAX_BYTES)
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}", hint=_REINSTALL) from error


def _load(path: Path, content: bytes) -> Ge2eNetwork:
    network = Ge2eNetwork()
    expected = set(network.state_dict())
    try:
        stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        state = stored["model_state"]
        # Beside the network there are the scale and offset of the training loss.
        network.load_state_dict({name: state[name] for name in expected})
    except (EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise EncoderError(
            f"{path} does not hold Resemblyzer's weights: {error}", hint=_REINSTALL
        ) from error
    return network.eval()


def _amplified(audio: Tensor) -> Tensor:
    """``normalize_volume(increase_only=True)``; silence stays silence."""
    rms = float(audio.square().mean().sqrt())
    target = 10 ** (TARGET_DBFS / 20)
    return audio * (target / rms) if 0 < rms < target else audio


def _mel_filters() -> Tensor:
    """Slaney's filters as librosa makes them, ``(bins, NUM_MELS)``."""
    filters: Tensor = import_torchaudio().functional.melscale_fbanks(
        n_freqs=MEL_WINDOW_SAMPLES // 2 + 1,
        f_min=0.0,
        f_max=SAMPLE_RATE_HZ / 2,
        n_mels=NUM_MELS,
        sample_rate=SAMPLE_RATE_HZ,
        norm="slaney",
        mel_scale="slaney",
    )
    return filters
