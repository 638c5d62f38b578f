"""TorchScript modules as encoders, ECAPA2 among them.

Hop 3, like ``torch_encoder``, whose front ends, locks and streams they share. In: a file whose hash
is the one on its card. Out: an encoder that was tried once. A TorchScript file can do anything when
it runs; nobody comes here without ``is_trusted``.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from voiceguard.encoder.card.program_config import ECAPA2_DIMS, Layout, TorchScriptConfig
from voiceguard.encoder.running.layers import check_labels
from voiceguard.encoder.running.programs import arranged, last_line, not_run, one_embedding
from voiceguard.encoder.running.samples import describe
from voiceguard.encoder.running.torch_encoder import TorchEncoder, checked, find_device
from voiceguard.errors import AudioError, EncoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.types import Embedding, Samples


class TorchScriptEncoder(TorchEncoder):
    """A TorchScript module behind a front end of ours; raises EncoderError if nobody trusts it.

    Args:
        card: What the model is; its architecture is a TorchScriptConfig or an Ecapa2Config.
        content: The file's bytes, verified.
        device: Where it computes.
        num_threads: How many CPU threads torch uses, in this whole process.
    """

    is_half_on_cuda: ClassVar[bool] = False

    def __init__(
        self, card: ModelCard, content: bytes, *, device: str = "auto", num_threads: int = 1
    ) -> None:
        if not card.is_trusted:
            raise EncoderError(
                f"encoder {card.name} is a program (TorchScript) that nobody has said may run here",
                hint="If you trust where it comes from: `voiceguard models import --trust`.",
            )
        torch.set_num_threads(num_threads)
        found = find_device(device)
        self._name = card.name
        self._dim = card.architecture.embedding_dim
        self._layout = (
            card.architecture.layout
            if isinstance(card.architecture, TorchScriptConfig)
            else Layout.WAVEFORM
        )
        self._module = _load_module(content, card.name, found)
        if self.is_half_on_cuda and found.type == "cuda":
            self._module = self._module.half()
        num_parameters = sum(parameter.numel() for parameter in self._module.parameters())
        super().__init__(
            describe(card, num_parameters, "torch"), card.features.build(), self._run, found
        )

    def _run(self, features: Tensor) -> Tensor:
        """``(num_bands, frames)``, or ``(1, num_samples)``, to ``(embedding_dim,)``."""
        return self._call(self._dim, arranged(features, self._layout))

    def _call(self, dim: int, *arguments: Tensor | str) -> Tensor:
        """The module's output for one recording, ``(dim,)`` float32.

        Raises:
            EncoderError: It fails, or gives something else.
        """
        try:
            # Optimised execution compiles anew for every length of input, twice, and windows have
            # many lengths: on a large module each costs seconds (ECAPA2's publisher says so too).
            with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]  # noqa: FBT003
                found = self._module(*arguments)
        except Exception as error:  # torch.jit.Error, RuntimeError, or what the program raises
            raise not_run(self._name, error) from error
        return one_embedding(found, self._name, dim)


class Ecapa2Encoder(TorchScriptEncoder):
    """ECAPA2: the waveform itself goes in, and inner layers' statistics come out by label.

    Source: J. Thienpondt, K. Demuynck, "ECAPA2: a hybrid neural network architecture and training
    strategy for robust speaker embeddings", ASRU 2023; usage guide of its publication on the hub.
    """

    is_half_on_cuda = True
    """As its publisher recommends; samples stay float32."""

    def features(self, samples: Samples, labels: Sequence[str]) -> dict[str, Embedding]:
        """Statistics of inner layers, as the network gives them, not normalised.

        Args:
            samples: ``(num_samples,)`` mono 16 kHz float32, at least ``info.min_window_s`` long.
            labels: Of ``ECAPA2_DIMS``. Each is computed by itself: joined with "|" they would come
                in the network's order, whatever was asked for.

        Returns:
            By label, ``(ECAPA2_DIMS[label],)`` float32.

        Raises:
            UsageError: See ``check_labels``.
            AudioError: Too short, or not finite.
            EncoderError: The model gives something else.
        """
        labels = check_labels(labels)
        with self._lock, torch.inference_mode():
            audio = checked(samples, self.info, self.device).unsqueeze(0)  # (1, num_samples)
            found = {
                label: self._call(ECAPA2_DIMS[label], audio, label).cpu().numpy()
                for label in labels
            }
        if not all(np.isfinite(values).all() for values in found.values()):
            raise AudioError(
                "this audio has no features: its samples are far outside [-1, 1]",
                hint="Scale the samples so that full scale is 1.0.",
            )
        return found


def _load_module(content: bytes, name: str, device: torch.device) -> Any:  # noqa: ANN401 - a ScriptModule
    """Unpacks a TorchScript file on a device, in evaluation mode.

    Raises:
        EncoderError: This torch can't read it.
    """
    with warnings.catch_warnings():
        # torch recommends its exported programs; what others have published is TorchScript.
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.load.*deprecated")
        try:
            module = torch.jit.load(io.BytesIO(content), map_location=device)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise EncoderError(
                f"the file of encoder {name} is not TorchScript that torch {torch.__version__} "
                f"reads: {last_line(error)}",
                hint="Remove the model and import it again.",
            ) from error
    return module.eval()
