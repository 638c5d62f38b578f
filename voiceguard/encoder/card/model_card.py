"""A model's card: what it is, where it comes from, how good it is and where it fails.

In and out: the ``.json`` file beside the weights. Whoever trains a model writes the card by
``native.save``; ``voiceguard models info`` shows it. Fields that this voiceguard does not know are
errors, because a reader that skips one may skip the one that matters.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the fields' annotations
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from voiceguard.encoder.card.identity import encoder_id
from voiceguard.encoder.card.kinds import (
    ARCHITECTURES,
    Architecture,
    Features,
    read_architecture,
    read_features,
    typed,
)
from voiceguard.types import FRAME_S
from voiceguard.validation.reading import ReadBy, plain, read

FORMAT = "voiceguard-encoder"
FORMAT_VERSION = 1

_OF_IMPORTS = ("source", "origin_format", "commercial_use", "published", "is_trusted", "golden")
"""Written only where they are known: models trained here have none of them."""
_NOT_KEPT = ("format", "format_version", "embedding_dim")
"""Checked, and then known otherwise."""
_STATED = ("weights_sha256", "figures")
"""With a default for whoever makes a card, and on every card that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """One corpus that the weights were trained on."""

    corpus: str
    num_speakers: int
    hours: float
    """As recorded, before any change of speed."""
    licence: str
    note: str = ""
    """Languages, what part of it, what was done to it."""

    def __post_init__(self) -> None:
        if not self.corpus or not self.licence:
            raise ValueError("a row of data needs the corpus and its licence")
        if self.num_speakers < 1 or not (math.isfinite(self.hours) and self.hours >= 0):
            raise ValueError(
                f"data of {self.corpus!r}: num_speakers must be positive and hours not negative, "
                f"not {self.num_speakers} and {self.hours}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """The encoder whose embeddings were the training targets."""

    name: str
    licence: str
    trained_on: str
    """What the teacher itself learned from, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something that was measured."""

    what: str
    """Condition, trials and unit: "EER, 3 s clean, mean of 5 corpora"."""
    value: str = ""
    """With its interval and, where there is one, the rival's on the same trials."""
    command: str = ""
    """What anybody runs to measure it again; empty: it was not made by a command of voiceguard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known about a model; everything but the hash is chosen by who saves it."""

    # In the file's order.
    name: str
    architecture: Annotated[Architecture, ReadBy(read_architecture)]
    features: Annotated[Features, ReadBy(read_features)]
    num_parameters: int | None = None
    """``save`` counts them; None in a card that doesn't say."""
    min_window_s: float
    """Shortest audio that the encoder accepts."""
    weights_sha256: str = ""
    """Of the weights file; ``save`` computes it."""
    licence: str
    trained_on: str
    """Data, speakers and hours, in words."""
    data: tuple[DataSource, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """How it was trained: names and plain values (text, numbers, lists and tables of them)."""
    teacher: Teacher | None = None
    """None: trained on labels alone, or not known."""
    compute: str = ""
    """What the training took: machine, hours, tries."""
    figures: tuple[Figure, ...] = ()
    limits: tuple[str, ...] = ()
    """Where it fails, a sentence each."""
    source: str = ""
    """Where an imported model came from: a path, or a hub id with its revision."""
    origin_format: str = ""
    """The format that it was imported from, as its reader calls it."""
    commercial_use: bool | None = None
    """Whether the licence allows it; None: not known."""
    published: str = ""
    """The publisher's own figure: not measured by voiceguard."""
    is_trusted: bool = False
    """Somebody said that this program may run here (``models import --trust``)."""
    golden: tuple[float, ...] | None = None
    """The embedding of ``encoder.golden``'s signal, made when the model was installed."""

    def __post_init__(self) -> None:
        shortest_s = self.architecture.min_frames * FRAME_S
        if self.min_window_s < shortest_s:
            raise ValueError(
                f"min_window_s must be at least {shortest_s:g} for this architecture, "
                f"not {self.min_window_s:g}"
            )
        try:  # as it will be read again: tuples become lists
            recipe = json.loads(json.dumps(dict(self.recipe), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"recipe must hold plain values only: {error}") from error
        object.__setattr__(self, "recipe", recipe)
        if self.golden is not None and len(self.golden) != self.architecture.embedding_dim:
            raise ValueError(
                f"golden has {len(self.golden)} numbers, the embedding "
                f"{self.architecture.embedding_dim}"
            )

    @property
    def encoder_id(self) -> str:
        """16 hexadecimal digits; embeddings of different ids are never compared."""
        return encoder_id(self.weights_sha256, self.features.version, typed(self.architecture))

    @property
    def is_program(self) -> bool:
        """Whether its file is run as it is, not weights for a network of ours."""
        return ARCHITECTURES[self.architecture.TYPE].is_program

    def to_json(self) -> dict[str, Any]:
        """The card as it is written to its file."""
        known = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "architecture": typed(self.architecture),
            "features": typed(self.features),
            "embedding_dim": self.architecture.embedding_dim,
        }
        left_out = {
            entry.name
            for entry in fields(self)
            if entry.name in _OF_IMPORTS and getattr(self, entry.name) == entry.default
        }
        rest = {k: v for k, v in plain(self).items() if k not in {*known, *left_out}}
        return {**known, **rest}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelCard:
        """Reads what ``to_json`` made, and cards of before figures had commands.

        Raises:
            ValueError: A field is missing, unknown, of the wrong kind or impossible, or it is no
                card for this voiceguard.
        """
        for name, expected in (("format", FORMAT), ("format_version", FORMAT_VERSION)):
            _require(values, name, expected)
        if missing := [name for name in _STATED if name not in values]:
            raise ValueError(f"{missing[0]} is missing")
        own = {name: value for name, value in values.items() if name not in _NOT_KEPT}
        figures = own["figures"]
        if isinstance(figures, list):  # older cards have sentences only
            own["figures"] = [{"what": row} if isinstance(row, str) else row for row in figures]
        card = read(cls, own)
        if "embedding_dim" in values:
            _require(values, "embedding_dim", card.architecture.embedding_dim)
        return card


def _require(values: Mapping[str, Any], name: str, expected: str | int) -> None:
    if (found := values.get(name)) != expected:
        raise ValueError(f"{name} is {found!r}, not {expected!r}")
