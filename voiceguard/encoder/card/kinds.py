"""Which architectures and features a card may name, and what each must be able to do.

A card holds ``{"type": NAME, ...plain values}``; the class behind NAME reads them. Classes are
named, not imported, here: a card of one kind loads the code of no other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from voiceguard.encoder.frontends.base import FrontEnd

ARCHITECTURES: dict[str, str] = {
    "ecapa_tdnn": "voiceguard.encoder.networks.ecapa_tdnn:EcapaTdnnConfig",
    "taoruijie_ecapa": "voiceguard.encoder.networks.taoruijie:TaoRuijieConfig",
    "campplus": "voiceguard.encoder.networks.campplus:CamPlusPlusConfig",
    "nemo_conv": "voiceguard.encoder.networks.nemo_conv:NemoConvConfig",
    "nemo_ecapa": "voiceguard.encoder.networks.nemo_ecapa:NemoEcapaConfig",
    "onnx": "voiceguard.encoder.card.program_config:OnnxConfig",
    "torchscript": "voiceguard.encoder.card.program_config:TorchScriptConfig",
    "ecapa2": "voiceguard.encoder.card.program_config:Ecapa2Config",
}

PROGRAMS = frozenset({"onnx", "torchscript", "ecapa2"})
"""Architectures whose file is a program and runs as it is, see ``encoder.running``."""

TRUST_NEEDED = frozenset({"torchscript", "ecapa2"})
"""Programs that can do anything; ONNX graphs compute, and nothing else."""

FEATURES: dict[str, str] = {
    "log_mel": "voiceguard.encoder.frontends.log_mel:LogMelConfig",
    "speechbrain_fbank": "voiceguard.encoder.frontends.speechbrain:SpeechBrainFbankConfig",
    "taoruijie_mel": "voiceguard.encoder.frontends.taoruijie:TaoRuijieMelConfig",
    "nemo_mel": "voiceguard.encoder.frontends.nemo:NemoMelConfig",
    "kaldi_fbank": "voiceguard.encoder.frontends.kaldi:KaldiFbankConfig",
    "waveform": "voiceguard.encoder.frontends.waveform:WaveformConfig",
}


class Kind(Protocol):
    """A frozen dataclass of plain values, in a card under its type's name."""

    TYPE: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``from_json``; without the type."""
        ...


@runtime_checkable
class Architecture(Kind, Protocol):
    """What turns features into an embedding.

    The class also has ``from_json(values: Mapping[str, Any])``, which raises ValueError.
    """

    @property
    def embedding_dim(self) -> int: ...

    @property
    def min_frames(self) -> int:
        """The fewest 10 ms frames that it can work on."""
        ...


@runtime_checkable
class Buildable(Architecture, Protocol):
    """An architecture that is ours to compute, every one that is not a program."""

    def build(self) -> nn.Module:
        """The network, ``(batch, num_bands, frames)`` to ``(batch, embedding_dim)``.

        Its ``state_dict`` names what ``model.safetensors`` holds.
        """
        ...


@runtime_checkable
class Features(Kind, Protocol):
    """What turns samples into what the network sees. ``from_json`` as above."""

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        ...

    def build(self) -> FrontEnd: ...


def read_architecture(values: Mapping[str, Any]) -> Architecture:
    """The architecture that a card describes.

    Raises:
        KeyError: It has no type.
        ValueError: No such type, or values that it does not take.
    """
    found: Architecture = _read("architecture", ARCHITECTURES, values)
    return found


def read_features(values: Mapping[str, Any]) -> Features:
    """The features that a card describes; raises as ``read_architecture``."""
    found: Features = _read("features", FEATURES, values)
    return found


def typed(kind: Kind) -> dict[str, Any]:
    """The values of an architecture or features with their type, as a card holds them."""
    return {"type": kind.TYPE, **kind.to_json()}


def _read(what: str, known: Mapping[str, str], values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - narrowed by the callers
    name = values["type"]
    if name not in known:
        raise ValueError(f"{what} type is {name!r}, not one of {', '.join(known)}")
    module, _, attribute = known[name].partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    return kind.from_json({key: value for key, value in values.items() if key != "type"})
