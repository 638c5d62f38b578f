"""The network that hears two voices at once, as torch trains it.

In: audio. Out: per 40 ms whether two voices sound, and one answer for all of it. Two voices are two
combs of harmonics, so frequencies are kept apart finely (16 Hz) up to where a telephone ends;
convolutions over time and frequency find what no single comb looks like, a GRU that runs both ways
puts it together, and attention chooses which moments the answer rests on.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from voiceguard.encoder.overlap.graph import FIRST_KERNEL, HALVING_LAYER, KERNEL, NUM_HEADS
from voiceguard.encoder.overlap.spectrogram import FLOOR, HOP_SAMPLES, OFFSET, SCALE

if TYPE_CHECKING:
    from torch import Tensor

    from voiceguard.encoder.overlap.spectrogram import Shape


class OverlapNetwork(nn.Module):
    """``(batch, num_samples)`` to a logit for each and logits for its frames."""

    window: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        window = torch.hann_window(shape.fft_samples, periodic=False)
        self.register_buffer("window", window, persistent=False)
        sizes = (1, *shape.stem)
        self.stem = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(
                        before,
                        after,
                        kernel := FIRST_KERNEL if layer == 0 else KERNEL,
                        stride=(2, 2 if layer == HALVING_LAYER else 1),
                        padding=(kernel[0] // 2, kernel[1] // 2),
                        bias=False,
                    ),
                    nn.BatchNorm2d(after),
                    nn.ReLU(),
                )
                for layer, (before, after) in enumerate(pairwise(sizes))
            )
        )
        flat = shape.stem[-1] * (shape.num_bins >> len(shape.stem))
        self.project = nn.Sequential(
            nn.Conv1d(flat, shape.channels, 1, bias=False),
            nn.BatchNorm1d(shape.channels),
            nn.ReLU(),
        )
        self.recurrent = nn.GRU(shape.channels, shape.hidden, batch_first=True, bidirectional=True)
        self.head = nn.Conv1d(2 * shape.hidden, NUM_HEADS, 1)

    def spectrogram(self, samples: Tensor) -> Tensor:
        """Log power by bin and frame, the level taken out: ``(batch, num_bins, num_frames)``."""
        frames = samples.unfold(1, self.shape.fft_samples, HOP_SAMPLES) * self.window
        spectrum = torch.fft.rfft(frames)[..., : self.shape.num_bins]
        power = torch.view_as_real(spectrum).square().sum(-1)
        mean = power.mean(dim=(1, 2), keepdim=True).clamp_min(1e-20)
        return ((torch.log(power / mean + FLOOR) + OFFSET) / SCALE).transpose(1, 2)

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(batch,)`` of the whole and ``(batch, frames)`` of its moments."""
        x = self.stem(spectrogram.unsqueeze(1))
        x = self.project(x.flatten(1, 2))
        x = self.recurrent(x.transpose(1, 2))[0].transpose(1, 2)
        moments, weights, values = self.head(x).float().unbind(1)
        whole = (torch.softmax(weights, dim=1) * values).sum(dim=1)
        return whole, moments
