"""Which architectures and features a card may name, and what each must be able to do.

A card holds ``{"type": NAME, ...plain values}``; the class behind NAME reads them. Classes are
named, not imported, here: a card of one kind loads the code of no other.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from voiceguard.validation.reading import plain, read

if TYPE_CHECKING:
    from torch import nn

    from voiceguard.encoder.frontends.base import FrontEnd

WEIGHTS_NAME = "model.safetensors"


@dataclass(frozen=True, slots=True)
class ArchitectureKind:
    """What follows from an architecture's type alone, before anything of it is imported."""

    config: str
    """``module:class`` of its sizes, an ``Architecture``."""
    file_name: str = WEIGHTS_NAME
    """Of an installed model."""
    encoder: str | None = None
    """``module:class`` that runs its file as it is, a program; None: weights for a network of
    ours, which the sizes build."""
    needs_trust: bool = False
    """A program that can do anything; ONNX graphs compute, and nothing else."""

    @property
    def is_program(self) -> bool:
        return self.encoder is not None


_NETWORKS = "voiceguard.encoder.networks."
_PROGRAMS = "voiceguard.encoder.card.program_config:"
_RUNNING = "voiceguard.encoder.running."

ARCHITECTURES: dict[str, ArchitectureKind] = {
    "ecapa_tdnn": ArchitectureKind(f"{_NETWORKS}ecapa_config:EcapaTdnnConfig"),
    "taoruijie_ecapa": ArchitectureKind(f"{_NETWORKS}taoruijie:TaoRuijieConfig"),
    "campplus": ArchitectureKind(f"{_NETWORKS}campplus_config:CamPlusPlusConfig"),
    "nemo_conv": ArchitectureKind(f"{_NETWORKS}nemo_conv:NemoConvConfig"),
    "nemo_ecapa": ArchitectureKind(f"{_NETWORKS}nemo_ecapa:NemoEcapaConfig"),
    "onnx": ArchitectureKind(f"{_PROGRAMS}OnnxConfig", "model.onnx", f"{_RUNNING}onnx:OnnxEncoder"),
    "torchscript": ArchitectureKind(
        f"{_PROGRAMS}TorchScriptConfig",
        "model.pt",
        f"{_RUNNING}torchscript:TorchScriptEncoder",
        needs_trust=True,
    ),
    "ecapa2": ArchitectureKind(
        f"{_PROGRAMS}Ecapa2Config",
        "model.pt",
        f"{_RUNNING}torchscript:Ecapa2Encoder",
        needs_trust=True,
    ),
}

FEATURES: dict[str, str] = {
    "log_mel": "voiceguard.encoder.frontends.log_mel_config:LogMelConfig",
    "speechbrain_fbank": "voiceguard.encoder.frontends.speechbrain:SpeechBrainFbankConfig",
    "taoruijie_mel": "voiceguard.encoder.frontends.taoruijie:TaoRuijieMelConfig",
    "nemo_mel": "voiceguard.encoder.frontends.nemo:NemoMelConfig",
    "kaldi_fbank": "voiceguard.encoder.frontends.kaldi_config:KaldiFbankConfig",
    "waveform": "voiceguard.encoder.frontends.waveform:WaveformConfig",
}


class Kind(Protocol):
    """A frozen dataclass of plain values, in a card under its type's name."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    TYPE: ClassVar[str]


@runtime_checkable
class Architecture(Kind, Protocol):
    """What turns features into an embedding."""

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
    """What turns samples into what the network sees."""

    @property
    def version(self) -> str:
        """Names everything that the features depend on; part of the encoder's id."""
        ...

    def build(self) -> FrontEnd: ...


def read_architecture(values: object) -> Architecture:
    """The architecture that a card describes, every parameter stated.

    Raises:
        ValueError: No such type, or values that it does not take.
    """
    found: Architecture = _read({name: kind.config for name, kind in ARCHITECTURES.items()}, values)
    _check_stated(found, values)
    return found


def read_features(values: object) -> Features:
    """The features that a card describes, every parameter stated; raises as above."""
    found = read_described_features(values)
    _check_stated(found, values)
    return found


def read_described_features(values: object) -> Features:
    """Features as people describe them: what is left out has its default.

    Raises:
        ValueError: As above, or the version is not what this voiceguard computes.
    """
    found: Features = _read(FEATURES, values)
    stated = dict(values).get("version", found.version) if isinstance(values, Mapping) else None
    if stated != found.version:
        raise ValueError(f"they are version {stated!r}; this voiceguard computes {found.version!r}")
    return found


def class_at(place: str) -> Any:  # noqa: ANN401 - the caller knows which
    """Imports the class that a ``module:class`` names."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def typed(kind: Kind) -> dict[str, Any]:
    """The values of an architecture or features with their type, as a card holds them."""
    version = {"version": kind.version} if isinstance(kind, Features) else {}
    return {"type": kind.TYPE, **plain(kind), **version}


def _read(known: Mapping[str, str], values: object) -> Any:  # noqa: ANN401 - narrowed by the callers
    if not isinstance(values, Mapping):
        raise ValueError(f"must be a table, not {values!r}")  # noqa: TRY004 - of a document
    name = values.get("type")
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"type is {name!r}, not one of {', '.join(known)}")
    given = {key: value for key, value in values.items() if key not in {"type", "version"}}
    return read(class_at(known[name]), given)


def _check_stated(found: Kind, values: object) -> None:
    """A card leaves nothing to defaults, which another voiceguard may have changed."""
    assert isinstance(values, Mapping)
    expected = typed(found)
    if missing := sorted(set(expected) - set(values)):
        raise ValueError(f"{', '.join(missing)} must be stated")
    if expected != values:
        raise ValueError(f"{found.TYPE} must have all of its parameters stated")
