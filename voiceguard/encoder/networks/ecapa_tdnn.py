"""The ECAPA-TDNN network: log-mel features in, one embedding per utterance out.

Part of hop 3. A plain trainable module; ``fused.py`` computes the same embeddings faster.

Source: Desplanques, Thienpondt, Demuynck, "ECAPA-TDNN: Emphasized Channel Attention, Propagation
and Aggregation in TDNN Based Speaker Verification", Interspeech 2020. Sections and equations in
the comments are that paper's. As in the well-known SpeechBrain recipe, and unlike the paper's
figure 2, a block's input is the block before it alone (not the sum of all before it, section
3.3), convolutions pad by reflection, and the pooling's hidden layer has ReLU and batch
normalisation before its tanh.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from voiceguard.encoder.networks.ecapa_config import STD_FLOOR_VARIANCE

if TYPE_CHECKING:
    from voiceguard.encoder.networks.ecapa_config import EcapaTdnnConfig


class FrameLayer(nn.Module):
    """1-D convolution over time, ReLU, batch normalisation: the paper's "Conv1D + ReLU + BN"."""

    def __init__(self, num_in: int, num_out: int, kernel_size: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            num_in,
            num_out,
            kernel_size,
            dilation=dilation,
            padding=(kernel_size - 1) * dilation // 2,
            # Reflecting by nothing would copy every input: a tenth of the time of training.
            padding_mode="reflect" if kernel_size > 1 else "zeros",
        )
        self.norm = nn.BatchNorm1d(num_out)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, num_in, frames)`` to ``(batch, num_out, frames)``."""
        normalised: Tensor = self.norm(torch.relu(self.conv(x)))
        return normalised


class Res2Conv(nn.Module):
    """The dilated convolution of an SE-Res2Block, split hierarchically (section 3.2).

    Group i is convolved together with the output of group i - 1, so that the receptive field
    grows from group to group; the first group passes as it is.
    """

    def __init__(self, channels: int, scale: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.scale = scale
        width = channels // scale
        self.layers = nn.ModuleList(
            FrameLayer(width, width, kernel_size, dilation) for _ in range(scale - 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, frames)`` to the same shape."""
        first, *groups = x.chunk(self.scale, dim=1)  # scale * (batch, width, frames)
        outputs = [first]
        for index, (layer, group) in enumerate(zip(self.layers, groups, strict=True)):
            outputs.append(layer(group if index == 0 else group + outputs[-1]))
        return torch.cat(outputs, dim=1)  # (batch, channels, frames)


class SqueezeExcitation(nn.Module):
    """Rescales each channel by what the whole utterance says about it (equations 5 to 7)."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, bottleneck)
        self.excite = nn.Linear(bottleneck, channels)

    def forward(self, h: Tensor) -> Tensor:
        """``(batch, channels, frames)`` to the same shape."""
        z = h.mean(dim=2)  # (batch, channels), equation 5
        return h * self.scales(z).unsqueeze(2)  # equation 7

    def scales(self, z: Tensor) -> Tensor:
        """``(batch, channels)`` means to factors in (0, 1) of the same shape (equation 6)."""
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(z))))


class SERes2Block(nn.Module):
    """Dense layer, Res2Net convolution, dense layer, squeeze-excitation, skip (section 3.2)."""

    def __init__(
        self,
        num_in: int,
        num_out: int,
        *,
        kernel_size: int,
        dilation: int,
        scale: int,
        se_channels: int,
    ) -> None:
        super().__init__()
        self.dense_in = FrameLayer(num_in, num_out)
        self.res2conv = Res2Conv(num_out, scale, kernel_size, dilation)
        self.dense_out = FrameLayer(num_out, num_out)
        self.squeeze_excitation = SqueezeExcitation(num_out, se_channels)
        self.shortcut = nn.Identity() if num_in == num_out else nn.Conv1d(num_in, num_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, num_in, frames)`` to ``(batch, num_out, frames)``."""
        h = self.dense_out(self.res2conv(self.dense_in(x)))
        rescaled: Tensor = self.squeeze_excitation(h) + self.shortcut(x)
        return rescaled


class AttentiveStatisticsPooling(nn.Module):
    """Channel- and context-dependent mean and standard deviation over time (section 3.1)."""

    def __init__(self, channels: int, attention_channels: int, *, global_context: bool) -> None:
        super().__init__()
        self.global_context = global_context
        num_in = channels * 3 if global_context else channels
        self.hidden = FrameLayer(num_in, attention_channels)  # W and b of equation 1
        self.scores = nn.Conv1d(attention_channels, channels, 1)  # v_c and k_c of equation 1

    def forward(self, h: Tensor) -> Tensor:
        """``(batch, channels, frames)`` to ``(batch, 2 * channels)``, means first."""
        weight, bias = self.hidden.conv.weight, self.hidden.conv.bias
        frames = nn.functional.conv1d(h, weight[:, : h.shape[1]], bias)
        if self.global_context:
            # The context is the same at every frame: it is multiplied once, not frame by frame.
            std, mean = torch.var_mean(h, dim=2, correction=0)
            context = torch.cat([mean, std.clamp(STD_FLOOR_VARIANCE).sqrt()], dim=1)
            frames = frames + (context @ weight[:, h.shape[1] :, 0].T).unsqueeze(2)
        hidden = self.hidden.norm(torch.relu(frames))
        e = self.scores(torch.tanh(hidden))  # (batch, channels, frames), equation 1
        alpha = torch.softmax(e, dim=2)  # equation 2
        mean = (alpha * h).sum(dim=2)  # (batch, channels), equation 3
        # Equation 4, about the mean: the same variance without its cancellation.
        variance = (alpha * (h - mean.unsqueeze(2)).square()).sum(dim=2)
        return torch.cat([mean, variance.clamp(STD_FLOOR_VARIANCE).sqrt()], dim=1)


class EcapaTdnn(nn.Module):
    """The whole network, figure 2 of the paper up to the embedding."""

    def __init__(self, config: EcapaTdnnConfig) -> None:
        super().__init__()
        self.config = config
        widths, last = config.channels[:-1], config.channels[-1]
        self.input_layer = FrameLayer(
            config.num_mels, widths[0], config.kernel_sizes[0], config.dilations[0]
        )
        self.blocks = nn.ModuleList(
            SERes2Block(
                num_in,
                num_out,
                kernel_size=kernel_size,
                dilation=dilation,
                scale=config.res2net_scale,
                se_channels=config.se_channels,
            )
            for (num_in, num_out), kernel_size, dilation in zip(
                pairwise(widths), config.kernel_sizes[1:-1], config.dilations[1:-1], strict=True
            )
        )
        self.aggregation = FrameLayer(
            sum(widths[1:]), last, config.kernel_sizes[-1], config.dilations[-1]
        )
        self.pooling = AttentiveStatisticsPooling(
            last, config.attention_channels, global_context=config.global_context
        )
        self.pooling_norm = nn.BatchNorm1d(2 * last)
        self.projection = nn.Linear(2 * last, config.embedding_dim)

    @property
    def num_parameters(self) -> int:
        """What training adjusts; running statistics not counted."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, num_mels, frames)`` log-mel to ``(batch, embedding_dim)``, not normalised."""
        return self.with_frames(features)[0]

    def with_frames(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` gives, and what is pooled to it: ``(batch, channels, frames)``."""
        x = self.input_layer(features)  # (batch, C, frames)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        # Multi-layer feature aggregation: every block's output, shallow ones too (section 3.3).
        h = self.aggregation(torch.cat(outputs, dim=1))  # (batch, channels[-1], frames)
        return self.projection(self.pooling_norm(self.pooling(h))), h
