"""ONNX graphs as encoders.

Hop 3, like ``torch_encoder``, whose front ends, locks and streams it shares: only the network is
run by ONNX Runtime. In: a file whose hash is the one on its card. Out: an encoder that was tried
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from voiceguard.encoder.card.program_config import OnnxConfig
from voiceguard.encoder.running.onnx_session import open_session
from voiceguard.encoder.running.programs import arranged, not_run, one_embedding
from voiceguard.encoder.running.samples import describe
from voiceguard.encoder.running.torch_encoder import TorchEncoder

if TYPE_CHECKING:
    from torch import Tensor

    from voiceguard.encoder.card.model_card import ModelCard


class OnnxEncoder(TorchEncoder):
    """An ONNX graph behind a front end of ours.

    Args:
        card: What the model is; its architecture is an OnnxConfig.
        content: The file's bytes, verified.
        device: Where ONNX Runtime computes; the front end stays on the CPU.
        num_threads: How many CPU threads ONNX Runtime uses, and torch in this whole process.
    """

    def __init__(
        self, card: ModelCard, content: bytes, *, device: str = "auto", num_threads: int = 1
    ) -> None:
        assert isinstance(card.architecture, OnnxConfig)
        self._config = card.architecture
        torch.set_num_threads(num_threads)  # of the front end
        what = f"the file of encoder {card.name}"
        self._session, self.runs_on = open_session(
            content, what, device=device, num_threads=num_threads
        )
        self._name = card.name
        info = describe(card, card.num_parameters or 0, "onnx")
        super().__init__(info, card.features.build(), self._run, torch.device("cpu"))

    def _run(self, features: Tensor) -> Tensor:
        """``(num_bands, frames)`` to ``(embedding_dim,)``."""
        given = arranged(features, self._config.layout).contiguous().numpy()
        try:
            found = self._session.run([self._config.output], {self._config.input: given})[0]
        except Exception as error:  # onnxruntime raises classes of its own for each kind of fault
            raise not_run(self._name, error) from error
        return one_embedding(
            torch.from_numpy(np.asarray(found)), self._name, self._config.embedding_dim
        )
