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

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from voiceguard.encoder.card.kinds import (
    Architecture,
    Features,
    read_described_features,
    typed,
)
from voiceguard.encoder.card.program_config import MAX_EMBEDDING_DIM, Layout
from voiceguard.encoder.foreign.imported import Imported
from voiceguard.errors import EncoderError
from voiceguard.types import FRAME_S, SAMPLE_RATE_HZ
from voiceguard.validation.parsing import read_json_object
from voiceguard.validation.ranges import Between, check_ranges
from voiceguard.validation.reading import ReadBy, plain, read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = "voiceguard-program"
FORMAT_VERSION = 1
MAX_BYTES = 65_536
MAX_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """A program's description."""

    # In the file's order.
    input: str | None = None
    """Name of the graph's input; None: it has but one. A TorchScript module has no names."""
    layout: Layout
    features: Annotated[Features, ReadBy(read_described_features)] = field(repr=False)
    output: str | None = None
    embedding_dim: Annotated[int, Between(1, MAX_EMBEDDING_DIM)]
    min_seconds: Annotated[float, Between(FRAME_S, MAX_SECONDS)]
    """Shortest audio that it accepts."""
    licence: str
    trained_on: str
    commercial_use: bool | None = None
    source: str = ""
    """Where it is published."""
    published: str = ""
    """The publisher's own figure."""

    def __post_init__(self) -> None:
        if not self.licence or not self.trained_on:
            raise ValueError("licence and trained_on must say something, if only 'unknown'")
        check_ranges(self)
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

    def imported(
        self,
        program: Path,
        architecture: Architecture,
        *,
        origin_format: str,
        found: tuple[str, ...],
    ) -> Imported:
        """The program that it describes."""
        return Imported(
            architecture=architecture,
            features=self.features,
            min_window_s=self.min_seconds,
            origin_format=origin_format,
            licence=self.licence,
            trained_on=self.trained_on,
            source=self.source,
            commercial_use=self.commercial_use,
            published=self.published,
            program=program,
            found=found,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Sidecar:
        """Reads the parsed file.

        Raises:
            ValueError: A field is missing, unknown, of the wrong kind or impossible.
        """
        if values.get("format") != FORMAT or values.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"format must be {FORMAT!r} and format_version {FORMAT_VERSION}, "
                f"not {values.get('format')!r} and {values.get('format_version')!r}"
            )
        return read(cls, {k: v for k, v in values.items() if k not in {"format", "format_version"}})

    def to_text(self) -> str:
        """The file's content."""
        header = {"format": FORMAT, "format_version": FORMAT_VERSION}
        values = {**header, **plain(self), "features": typed(self.features)}
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
        return Sidecar.from_json(read_json_object(path, max_bytes=MAX_BYTES))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"{path} does not describe {program.name}: {error}",
            hint='Correct that sidecar; its fields are in docs/encoders.md, "Describe one".',
        ) from error
