"""Loads an encoder by its name or path. torch is imported when one is loaded, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.encoder.card.kinds import ARCHITECTURES, class_at
from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.library import RESEMBLYZER, WEIGHTS_SUFFIX, find_model
from voiceguard.errors import AudioError, EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from voiceguard.encoder.card.model_card import ModelCard
    from voiceguard.encoder.config import Runtime
    from voiceguard.protocols import Encoder


def load_encoder(
    model: str = "default",
    device: str = "auto",
    num_threads: int = 1,
    models_dir: Path | None = None,
    runtime: Runtime = "auto",
) -> Encoder:
    """Loads an encoder, checks it against its card, and warms it up.

    Args:
        model: "default", the name of a shipped or installed model, or the path of a
            ``.safetensors`` file; for development also "resemblyzer", see ``running.resemblyzer``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        num_threads: How many CPU threads work on one recording; torch's are the whole process'.
        models_dir: Where installed models are; None: in the state directory of the environment.
        runtime: ``auto``, ``torch``, ``onnx`` or ``openvino``; see ``runtimes``.

    Raises:
        EncoderError: A file is missing or damaged, or there is no such model or device.
        ValueError: device, num_threads or runtime cannot be meant as written.
    """
    config = EncoderConfig(model=model, device=device, num_threads=num_threads, runtime=runtime)
    path = find_model(config.model, models_dir)
    if config.model == RESEMBLYZER:
        from voiceguard.encoder.running.resemblyzer import ResemblyzerEncoder  # noqa: PLC0415 - torch

        return ResemblyzerEncoder(path, device=config.device, num_threads=config.num_threads)
    return load_file(
        path, device=config.device, num_threads=config.num_threads, runtime=config.runtime
    )


def load_file(
    path: Path, *, device: str = "auto", num_threads: int = 1, runtime: str = "auto"
) -> Encoder:
    """Loads the encoder of a weights or program file with its card beside it.

    Args:
        path: Of ``find_model``. A file called ``*.safetensors``, which may be anywhere, is never
            run as a program, whatever its card says.
        device: As ``load_encoder``.
        num_threads: As ``load_encoder``.
        runtime: As ``load_encoder``; a program says itself what runs it.

    Raises:
        EncoderError: See ``load_encoder``; or the file is a program that nobody trusted.
    """
    from voiceguard.encoder.card import native  # noqa: PLC0415 - only where it is needed

    if path.suffix != WEIGHTS_SUFFIX:
        card = native.read_card(native.card_path(path))
        return _load_program(path, card, device=device, num_threads=num_threads)
    from voiceguard.encoder.runtimes import open_weights  # noqa: PLC0415 - numpy

    return open_weights(path, runtime=runtime, device=device, num_threads=num_threads)


def _load_program(path: Path, card: ModelCard, *, device: str, num_threads: int) -> Encoder:
    """Loads a program with its card, after checking its hash, and tries it.

    Raises:
        EncoderError: The file is missing, damaged or was replaced; it may not run; it can't run
            here; it gives something else than its card says.
    """
    from voiceguard.encoder.card import native  # noqa: PLC0415 - only where it is needed

    place = ARCHITECTURES[card.architecture.TYPE].encoder
    if place is None:
        raise EncoderError(
            f"{path} is a program, but {card.architecture.TYPE!r} on its card is none",
            hint="Remove the model and import it again.",
        )
    content = native.read_verified(path, card)
    try:
        encoder: Encoder = class_at(place)(card, content, device=device, num_threads=num_threads)
    except AudioError as error:  # of the audio that it was tried with, which is ordinary
        raise EncoderError(
            f"{path} gives values that are not numbers, or nothing but zeros, when it is tried",
            hint="It is damaged, or expects another input than its description says.",
        ) from error
    return encoder
