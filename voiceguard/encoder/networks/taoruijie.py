"""The ECAPA-TDNN of the unofficial implementations, evaluation only; their names of tensors.

In: features. Out: embeddings, not normalised. Unlike ``ecapa_tdnn``: a block's input is the sum of
all before it (the paper's section 3.3), padding with zeros, the Res2Net's *last* group passes as
it is, no normalisation after the aggregation but one after the projection, and the attention's
context has the unbiased variance, floored at 1e-4.

Source: Desplanques et al., Interspeech 2020, as built in https://github.com/TaoRuijie/ECAPA-TDNN
and its forks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from voiceguard.validation.ranges import Between, check_ranges

MIN_VARIANCE = 1e-4
DILATIONS = (2, 3, 4)

Size: TypeAlias = Annotated[int, Between(1, 2**14)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaoRuijieConfig:
    """Sizes of the network; all but ``channels`` are the same in every known checkpoint."""

    TYPE: ClassVar[str] = "taoruijie_ecapa"

    num_mels: Size = 80
    channels: Size = 1024
    aggregated_channels: Size = 1536
    res2net_scale: Size = 8
    se_channels: Size = 128
    attention_channels: Size = 256
    embedding_dim: Size = 192

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.res2net_scale < 2 or self.channels % self.res2net_scale:  # two groups
            raise ValueError(
                f"channels, {self.channels}, must be a multiple of res2net_scale, "
                f"{self.res2net_scale}, and that at least 2"
            )

    @property
    def min_frames(self) -> int:
        """Two: the variance of one frame is not defined."""
        return 2

    def build(self) -> nn.Module:
        """The network of these sizes, with random weights."""
        return TaoRuijieEcapa(self)


class _SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool1d(1),
            nn.Conv1d(channels, bottleneck, 1),
            nn.ReLU(),
            nn.Conv1d(bottleneck, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        rescaled: Tensor = x * self.se(x)  # (batch, channels, frames) * (batch, channels, 1)
        return rescaled


class _Block(nn.Module):
    """Dense, dilated Res2Net convolution, dense, squeeze-excitation, skip."""

    def __init__(self, config: TaoRuijieConfig, dilation: int) -> None:
        super().__init__()
        channels, num_convs = config.channels, config.res2net_scale - 1
        width = channels // config.res2net_scale
        self.conv1 = nn.Conv1d(channels, channels, 1)
        self.bn1 = nn.BatchNorm1d(channels)
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, dilation=dilation, padding=dilation)
            for _ in range(num_convs)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(num_convs))
        self.conv3 = nn.Conv1d(channels, channels, 1)
        self.bn3 = nn.BatchNorm1d(channels)
        self.se = _SqueezeExcitation(channels, config.se_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, frames)`` to the same shape."""
        h = self.bn1(torch.relu(self.conv1(x)))
        *groups, last = h.chunk(len(self.convs) + 1, dim=1)  # (batch, width, frames) each
        outputs: list[Tensor] = []
        for conv, norm, group in zip(self.convs, self.bns, groups, strict=True):
            given = group + outputs[-1] if outputs else group
            outputs.append(norm(torch.relu(conv(given))))
        h = torch.cat([*outputs, last], dim=1)
        skipped: Tensor = self.se(self.bn3(torch.relu(self.conv3(h)))) + x
        return skipped


class TaoRuijieEcapa(nn.Module):
    """The whole network."""

    def __init__(self, config: TaoRuijieConfig) -> None:
        super().__init__()
        channels, wide = config.channels, config.aggregated_channels
        self.conv1 = nn.Conv1d(config.num_mels, channels, 5, padding=2)
        self.bn1 = nn.BatchNorm1d(channels)
        self.layer1, self.layer2, self.layer3 = (_Block(config, each) for each in DILATIONS)
        self.layer4 = nn.Conv1d(3 * channels, wide, 1)
        self.attention = nn.Sequential(
            nn.Conv1d(3 * wide, config.attention_channels, 1),
            nn.ReLU(),
            nn.BatchNorm1d(config.attention_channels),
            nn.Tanh(),
            nn.Conv1d(config.attention_channels, wide, 1),
            nn.Softmax(dim=2),
        )
        self.bn5 = nn.BatchNorm1d(2 * wide)
        self.fc6 = nn.Linear(2 * wide, config.embedding_dim)
        self.bn6 = nn.BatchNorm1d(config.embedding_dim)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, num_mels, frames)`` to ``(batch, embedding_dim)``."""
        x = self.bn1(torch.relu(self.conv1(features)))
        x1 = self.layer1(x)
        x2 = self.layer2(x + x1)
        x3 = self.layer3(x + x1 + x2)
        h = torch.relu(self.layer4(torch.cat([x1, x2, x3], dim=1)))  # (batch, wide, frames)
        embedding: Tensor = self.bn6(self.fc6(self.bn5(self._pooled(h))))
        return embedding

    def _pooled(self, h: Tensor) -> Tensor:
        """``(batch, wide, frames)`` to ``(batch, 2 * wide)``: weighted means, then deviations."""
        variance, mean = torch.var_mean(h, dim=2, keepdim=True)  # unbiased
        context = torch.cat([mean, variance.clamp(min=MIN_VARIANCE).sqrt()], dim=1)
        alpha = self.attention(torch.cat([h, context.expand(-1, -1, h.shape[2])], dim=1))
        mean = (alpha * h).sum(dim=2)
        # About the mean: the same variance as E[h^2] - E[h]^2 without its cancellation.
        variance = (alpha * (h - mean.unsqueeze(2)).square()).sum(dim=2)
        return torch.cat([mean, variance.clamp(min=MIN_VARIANCE).sqrt()], dim=1)
