"""ONNX files: exports of WeSpeaker and 3D-Speaker, and any other that a sidecar describes.

In: ``FILE.onnx``, and ``FILE.onnx.json`` where there is one. Out: how to call the graph, and which
front end feeds it. Which front end, by the first of these that says it: the sidecar; the metadata
that sherpa-onnx stores inside; the names that the two projects' export scripts give. A graph that
takes 80 bands and says nothing gets WeSpeaker's, and ``found`` says so.

Source of the front ends: wespeaker/bin/infer_onnx.py and 3D-Speaker's
speakerlab/process/processor.py; of the names: wespeaker/bin/export_onnx.py,
speakerlab/bin/export_speaker_embedding_onnx.py and sherpa-onnx's scripts/3dspeaker/export-onnx.py;
of the metadata: sherpa-onnx's scripts/{wespeaker,3dspeaker}.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voiceguard.encoder.card.program_config import Layout, OnnxConfig
from voiceguard.encoder.foreign.programs.onnx_graph import Graph, read_graph
from voiceguard.encoder.foreign.programs.sidecar import Sidecar, read_sidecar, sidecar_path
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.errors import EncoderError
from voiceguard.types import FRAME_S, SAMPLE_RATE_HZ
from voiceguard.validation.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.foreign.imported import Imported

NAME = "ONNX (WeSpeaker, 3D-Speaker, or with a sidecar)"

NUM_BANDS = 80
MIN_SECONDS = 0.5
"""Ours, where nothing else says it: 48 frames of Kaldi's."""

_UNKNOWN = "unknown"
_MAGIC = (b"\x08", b"\x12")
"""Protocol buffers have no magic: an ONNX model begins with field 1, its IR version, a small
number, and goes on with another field of the model, most often field 2, the producer."""
_SIDECAR_HINT = 'Describe it in {path}: see docs/encoders.md, "Describe one".'


@dataclass(frozen=True, kw_only=True)
class Family:
    """What one project's exports have in common."""

    name: str
    framework: str
    """As sherpa-onnx's metadata calls it."""
    inputs: frozenset[str]
    features: KaldiFbankConfig


WESPEAKER = Family(
    name="WeSpeaker",
    framework="wespeaker",
    inputs=frozenset({"feats"}),
    features=KaldiFbankConfig(window="hamming", sample_scale=32768.0),
)
SPEAKER_3D = Family(
    name="3D-Speaker",
    framework="3d-speaker",
    inputs=frozenset({"feature", "x"}),
    features=KaldiFbankConfig(window="povey", sample_scale=1.0),
)
_FAMILIES = (WESPEAKER, SPEAKER_3D)


def recognises(path: Path) -> bool:
    """Whether it is called ``*.onnx`` or begins as one."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".onnx":
        return True
    with open_regular(path) as file:
        head = file.read(3)
    return head[:1] == _MAGIC[0] and head[1:2] < b"\x20" and head[2:] == _MAGIC[1]


def read(path: Path) -> Imported:
    """See ``imported.Reader.read``; ONNX graphs compute and nothing else, so they are tried here.

    Raises:
        EncoderError: Damaged; axes, names, sizes or metadata that contradict each other or aren't
            supported; nothing says what to feed it; the extra ``onnx`` is missing.
    """
    sidecar = read_sidecar(path)
    graph = read_graph(
        path,
        input_name=None if sidecar is None else sidecar.input,
        output_name=None if sidecar is None else sidecar.output,
    )
    _check_sample_rate(graph)
    if sidecar is not None:
        _check_scale(graph, sidecar)
        family, why = None, f"by {sidecar_path(path).name}"
    else:
        family, sidecar, why = _undescribed(graph)
    architecture = OnnxConfig(
        input=graph.input,
        output=graph.output,
        layout=sidecar.layout,
        embedding_dim=sidecar.embedding_dim,
        min_frames=sidecar.min_frames,
    )
    graph.check(sidecar)
    origin_format = "ONNX" if family is None else f"ONNX, {family.name}"
    found = (
        f"{origin_format}: {graph.described}, {sidecar.embedding_dim} dimensions",
        f"front end {sidecar.features.version}, {why}",
        *_notes(graph),
    )
    imported = sidecar.imported(path, architecture, origin_format=origin_format, found=found)
    return replace(imported, num_parameters=graph.num_parameters)


def _undescribed(graph: Graph) -> tuple[Family | None, Sidecar, str]:
    """Family, description and its reason for a graph without a sidecar.

    Raises:
        EncoderError: Nothing says what to feed it.
    """
    hint = _SIDECAR_HINT.format(path=sidecar_path(graph.path))
    framework = graph.metadata.get("framework", "").lower()
    if framework == "nemo":
        raise EncoderError(
            f"{graph.path} is sherpa-onnx's export of an NVIDIA NeMo model",
            hint="Import the .nemo file that it was made from: its front end is inside.",
        )
    if graph.rank != 3 or graph.input_shape[2] != NUM_BANDS:  # batch, time, bands
        raise EncoderError(
            f"{graph.path} has no sidecar, and its input {graph.input} "
            f"{graph.shown(graph.input_shape)} is not (batch, time, {NUM_BANDS}), the only one "
            "whose meaning is known without",
            hint=hint,
        )
    for family in _FAMILIES:
        if framework == family.framework:
            features = _by_metadata(graph, family.features)
            return family, _description(graph, features), "by its metadata"
    if framework:
        raise EncoderError(
            f"{graph.path} is of the framework {framework!r}, whose front end is not known",
            hint=hint,
        )
    for family in _FAMILIES:
        if graph.input in family.inputs:
            why = f"as {family.name} names its input {graph.input!r}"
            return family, _description(graph, family.features), why
    why = (
        f"ASSUMED, as WeSpeaker's: nothing says what {graph.input!r} is; "
        f"{sidecar_path(graph.path).name} would"
    )
    return None, _description(graph, WESPEAKER.features), why


def _description(graph: Graph, features: KaldiFbankConfig) -> Sidecar:
    """What a sidecar would say."""
    metadata = graph.metadata
    stated = [metadata[key] for key in ("comment", "language") if metadata.get(key)]
    return Sidecar(
        layout=Layout.TIME_BANDS,
        features=features,
        embedding_dim=graph.find_embedding_dim(NUM_BANDS, round(MIN_SECONDS / FRAME_S)),
        min_seconds=MIN_SECONDS,
        licence=metadata.get("license") or metadata.get("licence") or _UNKNOWN,
        trained_on="; ".join(stated) or _UNKNOWN,
        source=metadata.get("url", ""),
    )


def _by_metadata(graph: Graph, features: KaldiFbankConfig) -> KaldiFbankConfig:
    """A family's front end with what sherpa-onnx's metadata say otherwise.

    Raises:
        EncoderError: They say something that isn't known.
    """
    scale = _stated_scale(graph)
    if scale is not None:
        features = replace(features, sample_scale=scale)
    mean = graph.metadata.get("feature_normalize_type") or "global-mean"
    if mean != "global-mean":
        raise _metadata_error(graph, "feature_normalize_type", mean, "global-mean")
    return features


def _check_sample_rate(graph: Graph) -> None:
    rate = graph.metadata.get("sample_rate", str(SAMPLE_RATE_HZ))
    if rate != str(SAMPLE_RATE_HZ):
        raise _metadata_error(graph, "sample_rate", rate, str(SAMPLE_RATE_HZ))


def _check_scale(graph: Graph, sidecar: Sidecar) -> None:
    """The one parameter of a front end that both a sidecar and the metadata state."""
    stated, features = _stated_scale(graph), sidecar.features
    if isinstance(features, KaldiFbankConfig) and stated not in {None, features.sample_scale}:
        raise EncoderError(
            f"{sidecar_path(graph.path)} says sample_scale {features.sample_scale:g}, and the "
            f"metadata of {graph.path.name} {stated:g}",
            hint="Correct the sidecar.",
        )


def _stated_scale(graph: Graph) -> float | None:
    """What full scale is, by sherpa-onnx's metadata."""
    # Older copies of WeSpeaker's models say normalize_features for the same.
    stated = graph.metadata.get("normalize_samples", graph.metadata.get("normalize_features"))
    if stated not in {None, "0", "1"}:
        raise _metadata_error(graph, "normalize_samples", stated, "0 or 1")
    return None if stated is None else (1.0 if stated == "1" else 32768.0)


def _metadata_error(graph: Graph, key: str, value: str | None, expected: str) -> EncoderError:
    return EncoderError(
        f"{graph.path} says {key} = {value!r} in its metadata; expected {expected}",
        hint="voiceguard has no front end of that kind; choose another export of the model.",
    )


def _notes(graph: Graph) -> list[str]:
    """What else the metadata tell a person."""
    told = ("framework", "language", "comment", "url", "licence", "license")
    known = [f"{key} {graph.metadata[key]}" for key in told if graph.metadata.get(key)]
    return [f"metadata: {', '.join(known)}"] if known else []
