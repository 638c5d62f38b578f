"""NeMo's speaker models written out step by step, by NeMo's names, with its padding and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

Config = dict[str, Any]


class Steps:
    """The layers of a NeMo model, one function each, weights by NeMo's names."""

    def __init__(self, tensors: dict[str, Tensor], length: int, *, is_masked: bool) -> None:
        self.tensors = tensors
        self.length = length
        self.is_masked = is_masked

    def mask(self, x: Tensor) -> Tensor:
        return x * (torch.arange(x.shape[-1]) < self.length)

    def conv(self, x: Tensor, name: str, **options: Any) -> Tensor:  # noqa: ANN401 - conv1d's
        weight = self.tensors[f"{name}.conv.weight" if self.is_masked else f"{name}.weight"]
        x = self.mask(x) if self.is_masked else x
        padding = weight.shape[2] // 2 * options.get("dilation", 1)
        convolved: Tensor = functional.conv1d(x, weight, padding=padding, **options)
        return convolved

    def norm(self, x: Tensor, name: str, eps: float) -> Tensor:
        named = {part: self.tensors.get(f"{name}.{part}") for part in ("weight", "bias")}
        mean, var = (self.tensors[f"{name}.running_{part}"] for part in ("mean", "var"))
        return functional.batch_norm(x, mean, var, named["weight"], named["bias"], eps=eps)

    def block(self, x: Tensor, number: int, block: Config) -> Tensor:
        dilation = block["dilation"][0]
        name, index, h = f"encoder.encoder.{number}", 0, x
        before = self.length
        for layer in range(block["repeat"]):
            is_last = layer == block["repeat"] - 1
            stride = block["stride"][0] if is_last or not block.get("stride_last") else 1
            h = functional.relu(h) if index else h
            groups = h.shape[1] if block["separable"] else 1
            options = {"stride": stride, "dilation": dilation, "groups": groups}
            h = self.conv(h, f"{name}.mconv.{index}", **options)
            if self.is_masked:
                self.length = -(-self.length // stride)
            if block["separable"]:
                index += 1
                h = self.conv(h, f"{name}.mconv.{index}")
            h = self.norm(h, f"{name}.mconv.{index + 1}", 1e-3)
            index += 4  # norm, activation, dropout
        if block["se"]:
            fc = f"{name}.mconv.{index - 2}.fc"
            h = self.mask(h)
            z = h.sum(2) / min(self.length, h.shape[2])
            hidden = functional.relu(z @ self.tensors[f"{fc}.0.weight"].T)
            h = h * torch.sigmoid(hidden @ self.tensors[f"{fc}.2.weight"].T).unsqueeze(2)
        if block["residual"]:
            after, self.length = self.length, before
            shortcut = self.conv(x, f"{name}.res.0.0", stride=block["stride"][0])
            self.length = after
            h = h + self.norm(shortcut, f"{name}.res.0.1", 1e-3)
        return functional.relu(h)

    def affine(self, x: Tensor, name: str, **options: Any) -> Tensor:  # noqa: ANN401 - conv1d's
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        if weight.ndim == 2:
            return functional.linear(x, weight, bias)
        padding = weight.shape[2] // 2 * options.get("dilation", 1)
        return functional.conv1d(x, weight, bias, padding=padding, **options)

    def tdnn(self, x: Tensor, name: str, **options: Any) -> Tensor:  # noqa: ANN401 - conv1d's
        x = functional.relu(self.affine(x, f"{name}.conv_layer", **options))
        return self.norm(x, f"{name}.bn", 1e-5)

    def decode(self, h: Tensor, decoder: Config) -> Tensor:
        h = h[:, :, : self.length]
        sizes = decoder["emb_sizes"]
        layers = [f"decoder.emb_layers.{i}" for i in range(len(sizes) if sizes != 8 else 1)]
        if decoder["pool_mode"] == "xvector":
            x = torch.cat([h.mean(2), h.std(2).clamp_min(1e-5)], 1)
            for i, name in enumerate(layers):
                x = self.affine(functional.relu(x) if i else x, f"{name}.0")
                x = self.norm(x, f"{name}.1", 1e-5)
            return x
        context = torch.stack([h.mean(2), h.std(2, correction=0).clamp_min(1e-5)])
        frames = [h, *context.unsqueeze(3).expand(2, *h.shape)]
        hidden = self.tdnn(torch.cat(frames, 1), "decoder._pooling.attention_layer.0")
        e = self.affine(torch.tanh(hidden), "decoder._pooling.attention_layer.2")
        alpha = torch.softmax(e, 2)
        mean = (alpha * h).sum(2, keepdim=True)
        std = (alpha * (h - mean) ** 2).sum(2, keepdim=True).clamp_min(1e-10).sqrt()
        x = torch.cat([mean, std], 1)
        for name in layers:
            x = self.affine(self.norm(x, f"{name}.0", 1e-5), f"{name}.1")
        return x.squeeze(2)


def expected(config: Config, tensors: dict[str, Tensor], features: Tensor) -> Tensor:
    """``(batch, bands, frames)`` to ``(batch, dim)``, with NeMo's padding and masks."""
    length, encoder = features.shape[2], config["encoder"]
    multiple = config["preprocessor"].get("pad_to", 16)
    x = functional.pad(features, (0, 1))
    while multiple and x.shape[2] % multiple:
        x = functional.pad(x, (0, 1))
    steps = Steps(tensors, length, is_masked=encoder.get("conv_mask", False))
    if "jasper" in encoder:
        for number, block in enumerate(encoder["jasper"]):
            x = steps.block(x, number, block)
        return steps.decode(x, config["decoder"])
    x = steps.tdnn(x, "encoder.layers.0")
    outputs = []
    for i in (1, 2):
        name, dilation = f"encoder.layers.{i}", encoder["dilations"][i]
        h = steps.tdnn(x, f"{name}.group_tdnn_block.0")
        grouped = f"{name}.group_tdnn_block.1"
        h = functional.relu(steps.affine(h, grouped, dilation=dilation, groups=encoder["scale"]))
        h = steps.tdnn(
            steps.norm(h, f"{name}.group_tdnn_block.3", 1e-5), f"{name}.group_tdnn_block.4"
        )
        z = h[:, :, :length].mean(2, keepdim=True)
        hidden = functional.relu(steps.affine(z, f"{name}.se_layer.se_layer.0"))
        hidden = steps.norm(hidden, f"{name}.se_layer.se_layer.2", 1e-5)
        x = h * torch.sigmoid(steps.affine(hidden, f"{name}.se_layer.se_layer.3")) + x
        outputs.append(x)
    h = steps.tdnn(torch.cat(outputs, 1), "encoder.feature_agg")
    return steps.decode(h, config["decoder"])


def as_nemo_saves(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convolutions over a single frame, where we have matrices."""
    convolved = ("se_layer.0.weight", "se_layer.3.weight")
    return {
        name: tensor.unsqueeze(2)
        if name.endswith(convolved) or (name.endswith(".1.weight") and "emb_layers" in name)
        else tensor
        for name, tensor in tensors.items()
    }
