"""The sidecar of a program: a small JSON file ``<file>.json`` beside an ONNX or TorchScript file.

It says what the file itself does not: what to feed, what comes out, who may use it. Written by
people, and by ``voiceguard models export``; read once, when the program is imported::

    {
      "format": "voiceguard-program",
      "format_version": 1,
      "input": "feats",
      "layout": "batch,time,bands",
      "features": {"type": "kaldi_fbank", "window": "hamming", "sample_scale": 32768},
      "output": "embs",
      "embedding_dim": 256,
      "min_seconds": 0.5,
      "licence": "CC BY 4.0",
      "trained_on": "VoxCeleb2 dev, 5994 speakers"
    }

Unknown fields are errors: one that is skipped may be the one that matters.
"""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.card.kinds import FEATURES, Architecture, Features, read_features, typed
from voiceguard.encoder.card.model_card import ModelCard
from voiceguard.encoder.card.program_config import MAX_EMBEDDING_DIM, Layout
from voiceguard.errors import EncoderError
from voiceguard.types import FRAME_S, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = "voiceguard-program"
FORMAT_VERSION = 1
MAX_BYTES = 65_536
MAX_SECONDS = 30.0

_REQUIRED: dict[str, type | tuple[type, ...]] = {
    "format": str,
    "format_version": int,
    "layout": str,
    "features": dict,
    "embedding_dim": int,
    "min_seconds": (int, float),
    "licence": str,
    "trained_on": str,
}
_OPTIONAL: dict[str, type | tuple[type, ...]] = {
    "input": str,
    "output": str,
    "commercial_use": bool,
    "source": str,
    "published": str,
}


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """A program's description."""

    layout: Layout
    features: Features = field(repr=False)
    embedding_dim: int
    min_seconds: float
    """Shortest audio that it accepts."""
    licence: str
    trained_on: str
    input: str | None = None
    """Name of the graph's input; None: it has but one. A TorchScript module has no names."""
    output: str | None = None
    commercial_use: bool | None = None
    source: str = ""
    """Where it is published."""
    published: str = ""
    """The publisher's own figure."""

    def __post_init__(self) -> None:
        if not self.licence or not self.trained_on:
            raise ValueError("licence and trained_on must say something, if only 'unknown'")
        if not 1 <= self.embedding_dim <= MAX_EMBEDDING_DIM:
            raise ValueError(
                f"embedding_dim must be between 1 and {MAX_EMBEDDING_DIM}, not {self.embedding_dim}"
            )
        if not (math.isfinite(self.min_seconds) and FRAME_S <= self.min_seconds <= MAX_SECONDS):
            raise ValueError(
                f"min_seconds must be between {FRAME_S:g} and {MAX_SECONDS:g}, "
                f"not {self.min_seconds}"
            )
        if (self.layout is Layout.WAVEFORM) != (self.features.TYPE == "waveform"):
            raise ValueError(
                f"layout {self.layout.value!r} and features of type {self.features.TYPE!r} "
                "contradict each other: a waveform goes with a waveform, bands with bands"
            )
        needed_s = self.features.build().frame_samples / SAMPLE_RATE_HZ
        if self.min_seconds < needed_s:
            raise ValueError(
                f"min_seconds must be at least {needed_s:g}, one frame of these features, not "
                f"{self.min_seconds:g}"
            )

    @property
    def min_frames(self) -> int:
        """``min_seconds`` in whole frames of 10 ms."""
        return max(1, int(self.min_seconds / FRAME_S + 1e-6))

    def card(
        self,
        name: str,
        architecture: Architecture,
        *,
        origin_format: str,
        num_parameters: int | None = None,
    ) -> ModelCard:
        """The card of the program that it describes."""
        return ModelCard(
            name=name,
            architecture=architecture,
            features=self.features,
            min_window_s=self.min_seconds,
            licence=self.licence,
            trained_on=self.trained_on,
            commercial_use=self.commercial_use,
            published=self.published,
            source=self.source,
            origin_format=origin_format,
            num_parameters=num_parameters,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Sidecar:
        """Reads the parsed file.

        Raises:
            ValueError: A field is missing, unknown, of the wrong kind or impossible.
        """
        _check_fields(values)
        given = {name: value for name, value in values.items() if not name.startswith("format")}
        try:
            features = read_features(_completed(given["features"]))
            return cls(**{**given, "layout": Layout(given["layout"]), "features": features})
        except (KeyError, TypeError) as error:
            raise ValueError(f"features can't be read: {error}") from error

    def to_text(self) -> str:
        """The file's content."""
        values: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "input": self.input,
            "layout": self.layout.value,
            "features": typed(self.features),
            "output": self.output,
            "embedding_dim": self.embedding_dim,
            "min_seconds": self.min_seconds,
            "licence": self.licence,
            "trained_on": self.trained_on,
            "commercial_use": self.commercial_use,
            "source": self.source,
            "published": self.published,
        }
        stated = {name: value for name, value in values.items() if value not in (None, "")}
        return json.dumps(stated, indent=2, ensure_ascii=False) + "\n"


def sidecar_path(program: Path) -> Path:
    """Where a program's sidecar is: ``campplus.onnx.json`` beside ``campplus.onnx``."""
    return program.with_name(program.name + ".json")


def read_sidecar(program: Path) -> Sidecar | None:
    """The description beside a program; None where there is none.

    Raises:
        EncoderError: It is there, and isn't a sidecar for this voiceguard.
    """
    path = sidecar_path(program)
    if not path.is_file():
        return None
    try:
        return Sidecar.from_json(_object(path))
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(
            f"{path} does not describe {program.name}: {error}",
            hint='Correct that sidecar; its fields are in README, "Bring your own encoder".',
        ) from error


def _object(path: Path) -> dict[str, Any]:
    """A JSON file of limited size.

    Raises:
        ValueError: It is larger, or something else.
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    values = json.loads(raw)
    if not isinstance(values, dict):
        raise ValueError("it must be one JSON object")  # noqa: TRY004 - of a file, not a caller
    return values


def _check_fields(values: Mapping[str, Any]) -> None:
    if values.get("format") != FORMAT or values.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"format must be {FORMAT!r} and format_version {FORMAT_VERSION}, "
            f"not {values.get('format')!r} and {values.get('format_version')!r}"
        )
    if missing := sorted(set(_REQUIRED) - set(values)):
        raise ValueError(f"it lacks {', '.join(missing)}")
    known = {**_REQUIRED, **_OPTIONAL}
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"unknown fields: {', '.join(unknown)}; known are {', '.join(known)}")
    for name, value in values.items():
        kinds = known[name]
        is_number_by_accident = isinstance(value, bool) and kinds is not bool
        if not isinstance(value, kinds) or is_number_by_accident:
            raise ValueError(f"{name} can't be {value!r}")
    layouts = [layout.value for layout in Layout]
    if values["layout"] not in layouts:
        raise ValueError(
            f"layout is {values['layout']!r}, not one of {', '.join(map(repr, layouts))}"
        )


def _completed(given: Mapping[str, Any]) -> dict[str, Any]:
    """The features as a card holds them: parameters that were left out have their defaults.

    Raises:
        ValueError: A parameter is unknown, or of another kind than its default.
    """
    name = given.get("type")
    if name not in FEATURES:
        raise ValueError(f"features.type is {name!r}, not one of {', '.join(FEATURES)}")
    module, _, attribute = FEATURES[name].partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    complete = typed(kind())
    parameters = {key: value for key, value in given.items() if key not in {"type", "version"}}
    for key, value in parameters.items():
        if key not in complete:
            known = sorted(set(complete) - {"type", "version"})
            raise ValueError(f"features of type {name!r} have no {key!r}, only {', '.join(known)}")
        default = complete[key]
        is_whole_number = type(default) is float and type(value) is int
        if type(value) is not type(default) and not is_whole_number:
            raise ValueError(f"features.{key} can't be {value!r}")
        parameters[key] = float(value) if is_whole_number else value
    return {**typed(kind(**parameters)), **parameters, **_stated_version(given)}


def _stated_version(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": given["version"]} if "version" in given else {}
