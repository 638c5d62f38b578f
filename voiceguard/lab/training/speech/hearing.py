"""A teacher for windows: many of one length at once, heard whole and, by CAM++, frame by frame.

In: clean windows. Out: embeddings, and the features of each 20 ms that they are pooled from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from voiceguard.encoder.card import native
from voiceguard.encoder.library import WEIGHTS_SUFFIX, find_model
from voiceguard.encoder.networks.campplus import CamPlusPlus, Extent
from voiceguard.encoder.networks.fused_campplus import FusedCamPlusPlus
from voiceguard.types import FRAME_SAMPLES

if TYPE_CHECKING:
    from torch import Tensor

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.frontends.base import FrontEnd
    from voiceguard.lab.training.hardware import Hardware
    from voiceguard.lab.training.speech.teachers import Teachers

_MOST_COPIES = 16
"""Of 28 MB each."""


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Of a batch of windows."""

    embeddings: Tensor
    """``(num_windows, dim)`` float32, of any norm."""
    frames: Tensor | None
    """``(num_windows, channels, num_frames)``, frame j about the samples from 320 j on; None of a
    teacher that has none."""


class WindowTeacher(Protocol):
    """Hears windows."""

    @property
    def dim(self) -> int:
        """Of the embeddings."""

    @property
    def frame_channels(self) -> int | None:
        """Of the frames; None where there are none."""

    def __call__(self, windows: Tensor) -> Heard:
        """``(num_windows, num_samples)`` clean speech, on the device where the answer is."""


def window_teacher(name: str, teachers: Teachers, hardware: Hardware) -> WindowTeacher:
    """CAM++ by its network, for its frames; any other encoder as it is.

    Args:
        name: As in the recipe; not of no teacher.
        teachers: The same encoder, loaded and checked.
        hardware: To hear with.

    Raises:
        EncoderError: It cannot be loaded.
    """
    path = find_model(name)
    if path.suffix == WEIGHTS_SUFFIX and native.card_path(path).exists():
        card, network = native.load(path)
        if isinstance(network, CamPlusPlus):
            return FrameTeacher(card, network, hardware)
    return EncoderTeacher(teachers)


class EncoderTeacher:
    """Any encoder: no frames."""

    frame_channels = None

    def __init__(self, teachers: Teachers) -> None:
        self._teachers = teachers
        self.dim = teachers.info.embedding_dim

    def __call__(self, windows: Tensor) -> Heard:
        """See ``WindowTeacher``."""
        embeddings = self._teachers.embed(list(windows.cpu().numpy()), "teacher")
        return Heard(torch.from_numpy(np.stack(embeddings)).to(windows.device), None)


class FrameTeacher:
    """CAM++: batched on a GPU; on a CPU window by window, as that is 1.6 times as fast there.

    Each core has windows of its own: a window is many small steps, and threads that share it wait
    for each other (five times as long where others compute as well).

    Args:
        card: Of the model.
        network: In evaluation mode.
        hardware: To hear with.
    """

    def __init__(self, card: ModelCard, network: CamPlusPlus, hardware: Hardware) -> None:
        self.dim = network.projection.out_features
        self.frame_channels = network.output_norm.num_features
        self._hardware = hardware
        self._network = network.to(hardware.device).requires_grad_(requires_grad=False)
        self._front_end = card.features.build().to(hardware.device)
        num = min(hardware.num_threads, _MOST_COPIES) if hardware.device.type == "cpu" else 0
        self._copies = [FusedCamPlusPlus(network) for _ in range(num)]

    @torch.no_grad()
    def __call__(self, windows: Tensor) -> Heard:
        """See ``WindowTeacher``."""
        if not self._copies:
            return self.at_once(windows)
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(len(self._copies), "teacher") as pool:
                shares = windows.tensor_split(len(self._copies))
                pairs = [
                    pair for share in pool.map(self._share, self._copies, shares) for pair in share
                ]
        finally:
            torch.set_num_threads(num_threads)
        embeddings, frames = zip(*pairs, strict=True)
        return Heard(torch.stack(embeddings), torch.stack(frames))

    @torch.no_grad()  # which is a thread's own
    def _share(self, network: FusedCamPlusPlus, windows: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [network.with_frames(self._front_end(window)) for window in windows]

    def at_once(self, windows: Tensor) -> Heard:
        """Windows ``(num_windows, num_samples)`` as one batch."""
        return heard_by(self._network, features_of(self._front_end, windows), self._hardware)


def features_of(front_end: FrontEnd, samples: Tensor) -> Tensor:
    """``(num_recordings, num_samples)`` to ``(num_recordings, num_bands, num_frames)``."""
    framed = front_end.prepare(samples).unfold(1, front_end.frame_samples, FRAME_SAMPLES)
    bands = front_end.bands(framed.flatten(0, 1)).view(*framed.shape[:2], -1)
    return torch.stack([front_end.finish(each) for each in bands])


def heard_by(network: CamPlusPlus, features: Tensor, hardware: Hardware) -> Heard:
    """``(batch, num_bands, num_frames)`` as one batch; half precision up to the pooling."""
    extent = Extent.of(features, None)
    with hardware.autocast():
        frames, extent = network.frames(features, extent)
    return Heard(network.embedded(frames.float(), extent), frames)
