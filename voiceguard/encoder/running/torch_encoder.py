"""Hop 3 of 6: windows in, embeddings out; on the inference executor's thread.

A window's samples become the features of the encoder's front end (those of inner frames are kept
from window to window), the features an L2-normalised embedding.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch

from voiceguard.encoder.frontends.rolling import RollingFeatures
from voiceguard.encoder.networks.campplus import CamPlusPlus
from voiceguard.encoder.networks.ecapa_tdnn import EcapaTdnn
from voiceguard.encoder.networks.fused import KEPT_FRAMES, FusedEcapaTdnn
from voiceguard.encoder.networks.fused_campplus import FusedCamPlusPlus
from voiceguard.encoder.running.batches import embed_batches
from voiceguard.encoder.running.samples import check_samples, describe, normalised, warm_up
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.frontends.base import FrontEnd
    from voiceguard.encoder.running.batches import BatchNetwork
    from voiceguard.types import Embedding, EncoderInfo, Samples, Window


class TorchEncoder:
    """A network of ours on a CPU or a CUDA device. Calls from several threads take turns.

    Args:
        info: What the model is.
        front_end: Makes its features.
        network: ``(num_bands, frames)`` to ``(embedding_dim,)``, not normalised; on ``device``.
        device: Where both compute.
        batch_network: The same for many recordings at once, where that is faster.
    """

    def __init__(
        self,
        info: EncoderInfo,
        front_end: FrontEnd,
        network: Callable[[Tensor], Tensor],
        device: torch.device,
        batch_network: BatchNetwork | None = None,
    ) -> None:
        self.info = info
        self.device = device
        self.front_end = front_end.to(device)
        self._network = network
        self._batch_network = batch_network
        self._lock = threading.Lock()
        # The first call initialises libraries and allocates buffers, 40 ms that no window waits
        # for if it happens here; as long as the longest window that keeps its buffers.
        self.embed(warm_up(info, KEPT_FRAMES))

    @classmethod
    def of(
        cls, card: ModelCard, network: nn.Module, *, device: str = "auto", num_threads: int = 1
    ) -> TorchEncoder:
        """The encoder of a card and its network.

        Args:
            card: What the model is.
            network: Its weights, in evaluation mode; moved to the device.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            num_threads: How many CPU threads torch uses, in this whole process.

        Raises:
            EncoderError: There is no such device.
        """
        torch.set_num_threads(num_threads)
        found = find_device(device)
        info = describe(card, sum(each.numel() for each in network.parameters()), "torch")
        network = network.to(found)
        # On a CPU one recording at a time is as fast, and the fused networks are faster.
        is_batched = found.type != "cpu" and isinstance(network, CamPlusPlus)
        return cls(
            info,
            card.features.build(),
            _single(network),
            found,
            network if is_batched else None,
        )

    def embed(self, samples: Samples) -> Embedding:
        """See ``protocols.Encoder.embed``."""
        return normalised(self.raw(samples))

    def embed_many(self, recordings: Sequence[Samples]) -> list[Embedding]:
        """Embeds each recording, several at once where that is faster.

        Raises:
            AudioError: As ``embed``, if one of them cannot be embedded.
        """
        if self._batch_network is None:
            return [self.embed(samples) for samples in recordings]
        with self._lock, torch.inference_mode():
            features = [
                self.front_end(checked(samples, self.info, self.device)) for samples in recordings
            ]
            rows = embed_batches(self._batch_network, features)
        return [normalised(row) for row in rows]

    def raw(self, samples: Samples) -> Embedding:
        """The network's own output, ``(embedding_dim,)`` float32; raises as ``embed``."""
        with self._lock, torch.inference_mode():
            features = self.front_end(checked(samples, self.info, self.device))
            raw: Embedding = self._network(features).cpu().numpy()
            return raw

    def open_stream(self) -> TorchEncoderStream:
        """See ``protocols.Encoder.open_stream``."""
        return TorchEncoderStream(self)

    def embed_window(self, window: Window, rolling: RollingFeatures[Tensor]) -> Embedding:
        """Embeds a window by a stream's features, see ``TorchEncoderStream``.

        Args:
            window: Its samples are ``(num_samples,)``.
            rolling: Of the stream.
        """
        with self._lock, torch.inference_mode():
            samples = checked(window.samples, self.info, self.device)
            features = rolling(samples, segment=window.segment, first_sample=window.first_sample)
            return normalised(self._network(features).cpu().numpy())


class TorchEncoderStream:
    """One stream's windows. See ``protocols.EncoderStream``."""

    def __init__(self, encoder: TorchEncoder) -> None:
        self._encoder = encoder
        self._rolling: RollingFeatures[Tensor] = RollingFeatures(encoder.front_end)

    def embed(self, window: Window) -> Embedding:
        """See ``protocols.EncoderStream.embed``."""
        return self._encoder.embed_window(window, self._rolling)


def _single(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network for one recording at a time."""
    if isinstance(network, EcapaTdnn):
        return FusedEcapaTdnn(network)
    if isinstance(network, CamPlusPlus):
        return FusedCamPlusPlus(network)

    def embed_one(features: Tensor) -> Tensor:
        embedding: Tensor = network(features.unsqueeze(0))[0]
        return embedding

    return embed_one


def checked(samples: Samples, info: EncoderInfo, device: torch.device) -> Tensor:
    """Samples that can be embedded, ``(num_samples,)``, copied to the encoder's device.

    Raises:
        AudioError: Not mono, too short, or not finite.
    """
    check_samples(samples, info)
    # A copy: torch does not take read-only arrays, and the caller may reuse its memory.
    return torch.tensor(samples, dtype=torch.float32, device=device)


def find_device(name: str) -> torch.device:
    """The torch device of a setting; ``auto`` is the first CUDA device, or else the CPU.

    Raises:
        EncoderError: There is no such device.
    """
    num_cuda = torch.cuda.device_count() if name != "cpu" and torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda:0" if num_cuda else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= num_cuda:
        built_for = torch.version.cuda or "the CPU only"
        raise EncoderError(
            f"encoder.device is {name!r}, but torch {torch.__version__}, built for {built_for}, "
            f"sees {num_cuda} CUDA devices",
            hint="Set device to 'auto' or 'cpu', or install a CUDA torch and its driver.",
        )
    return device
