"""Which runtime computes an encoder: the fastest that is there and gives what its card states.

In: a weights file of ours and the settings. Out: an encoder. torch runs every network of ours;
ONNX Runtime and OpenVINO run a graph of the shipped encoder and of CAM++, in less time and a third
of the memory. Each is held to the card's golden embedding before it is taken. By "auto", one that
cannot run the encoder, or computes something else, is named in the log and the next one is tried.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from typing import TYPE_CHECKING

import structlog

from voiceguard.encoder import golden
from voiceguard.encoder.card import native
from voiceguard.encoder.running.graph_encoder import GraphEncoder, has_graph, read_graph
from voiceguard.encoder.running.onnx_session import OnnxSession, may_have_gpu
from voiceguard.encoder.running.openvino_session import OpenvinoSession
from voiceguard.errors import AudioError, EncoderError, install_command

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.protocols import Encoder

_log = structlog.get_logger(__name__)

PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}
"""What each runtime needs; on a CPU the first is the fastest (docs/what-was-measured.md)."""


def is_installed(runtime: str) -> bool:
    """Whether its package is there, without importing it."""
    return importlib.util.find_spec(PACKAGES[runtime]) is not None


def open_weights(path: Path, *, runtime: str, device: str, num_threads: int) -> Encoder:
    """Loads the encoder of a weights file of ours.

    Args:
        path: The card is beside it.
        runtime: As ``EncoderConfig.runtime``.
        device: As ``load_encoder``.
        num_threads: As ``load_encoder``.

    Raises:
        EncoderError: A file is missing or damaged; no runtime is there that can run it; or none
            gives the golden embedding.
    """
    card = native.read_card(native.card_path(path))
    candidates = [runtime] if runtime != "auto" else _candidates(card, device)
    fault = None
    for candidate in candidates:
        if fault is not None:
            _log.warning("encoder_runtime_refused", reason=str(fault), next=candidate)
        try:
            return _opened(candidate, path, device, num_threads)
        except EncoderError as error:
            fault = error
    raise fault or _no_runtime(card)


def _candidates(card: ModelCard, device: str) -> list[str]:
    """Runtimes that may run an encoder, the fastest first."""
    there = [each for each in PACKAGES if is_installed(each)]
    if not has_graph(card):
        there = [each for each in there if each == "torch"]
    if device.startswith("cuda") or (device == "auto" and may_have_gpu()):
        there.sort(key=lambda each: each != "torch")
    return there


def _opened(runtime: str, path: Path, device: str, num_threads: int) -> Encoder:
    """An encoder that gives its golden embedding.

    Raises:
        EncoderError: It does not, or it can't be loaded.
    """
    encoder: Encoder
    if runtime == "torch":
        card, encoder, runs_on = _by_torch(path, device, num_threads)
    else:
        card, encoder, runs_on = _by_graph(runtime, path, device, num_threads)
    # The golden embedding was made on a CPU; a GPU may round products to fewer bits.
    if card.golden is None or runs_on != "cpu":
        return encoder
    try:
        deviation = golden.deviation(encoder, card.golden)
    except AudioError:  # not even numbers
        deviation = float("inf")
    if not deviation <= golden.TOLERANCE:
        raise EncoderError(
            f"{PACKAGES[runtime]} does not give what {path.name} gave when it was installed: its "
            f"embedding is {deviation:.1g} of the largest entry away, at most "
            f"{golden.TOLERANCE:g} is accepted",
            hint="Choose another with encoder.runtime; if none agrees, the encoder's files are "
            "damaged: remove it and pull or import it again.",
        )
    return encoder


def _by_torch(path: Path, device: str, num_threads: int) -> tuple[ModelCard, Encoder, str]:
    if not is_installed("torch"):
        raise EncoderError("torch is not installed", hint=f"run: {install_command('torch')}")
    from voiceguard.encoder.running.torch_encoder import TorchEncoder  # noqa: PLC0415 - torch, 2 s

    card, network = native.load(path)
    encoder = TorchEncoder.of(card, network, device=device, num_threads=num_threads)
    return card, encoder, encoder.device.type


def _by_graph(
    runtime: str, path: Path, device: str, num_threads: int
) -> tuple[ModelCard, Encoder, str]:
    card, front_end, graph = read_graph(path)
    kind = OnnxSession if runtime == "onnx" else OpenvinoSession
    what = f"the graph of encoder {card.name}"
    session = kind(graph, what, device=device, num_threads=num_threads)
    del graph
    _return_memory()
    return card, GraphEncoder(card, front_end, session, runtime), session.runs_on


def _return_memory() -> None:
    """Gives back what writing and reading the graph took: 8 MB, which glibc keeps otherwise."""
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such call
        ctypes.CDLL(None).malloc_trim(0)


def _no_runtime(card: ModelCard) -> EncoderError:
    if has_graph(card):
        return EncoderError(
            "neither onnxruntime nor torch is installed: nothing can compute embeddings",
            hint=f"run: {install_command('onnxruntime')}",
        )
    return EncoderError(
        f"encoder {card.name} ({card.architecture.TYPE}, {card.features.TYPE}) needs torch, which "
        "is not installed",
        hint=f"run: {install_command('torch', 'torchaudio')}; or choose another encoder: "
        "`voiceguard models use default`",
    )
