"""Rooms and noises to corrupt training crops with: simulated and measured responses, recordings.

In: a random generator, or files. Out: responses whose direct path is at ``DIRECT_TAP``, unit
energy, and lists of recordings, with what could not be read and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voiceguard.audio.files import load_audio
from voiceguard.errors import AudioError, UsageError, VoiceguardError, install_command
from voiceguard.lab.corpora.corpus import Skip, read_noise
from voiceguard.lab.progress import untracked
from voiceguard.lab.training.corruption.filters import convolve
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.progress import Track
    from voiceguard.types import Samples

DIRECT_TAP = 48
"""Where a response has its direct path: 3 ms, room for what a band-limited pulse rings before."""

ROOM_S = 2.0
ROOM_TAPS = round(ROOM_S * SAMPLE_RATE_HZ)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Of rooms: each of their dimensions is drawn evenly from a range."""

    sides_m: tuple[tuple[float, float], ...]
    """Length, width, height."""
    rt60_s: tuple[float, float]
    distance_m: tuple[float, float]
    """From the speaker to the microphone."""


_ROOM = _Kind(((2.0, 8.0), (2.0, 7.0), (2.2, 3.5)), rt60_s=(0.15, 0.9), distance_m=(0.3, 4.0))
"""From a bathroom to a living room."""
_HALL = _Kind(((6.0, 30.0), (4.0, 20.0), (2.5, 10.0)), rt60_s=(0.8, 4.0), distance_m=(0.5, 12.0))
"""From a stairwell to a church; the tail of most responses is louder than their direct path."""
_WALL_M = 0.2
"""Nobody and nothing is nearer to a wall."""
_SABINE_S_PER_M = 0.161
_MAX_ABSORPTION = 0.9
_MAX_ORDER = 8
"""Of image sources: some 800, the first 50 ms."""
_FADE_TAPS = 160
_TREBLE_HZ = 3000.0
_TREBLE_RT60 = (0.5, 1.0)
"""Of the bass's."""
_MIN_NOISE_S = 0.2
_SILENT_PEAK = 1e-4


def reverberated(crops: Tensor, responses: Tensor) -> Tensor:
    """Puts every crop into its room, not delayed and with the energy that it had.

    Args:
        crops: ``(batch, num_samples)`` float32.
        responses: ``(batch, taps)`` float32, direct path at ``DIRECT_TAP``.
    """
    # What a crop's beginning would make sound after its end need not be computed.
    reached = responses[:, : DIRECT_TAP + crops.shape[1]]
    heard = convolve(crops, reached, zero_tap=DIRECT_TAP)
    before = crops.square().sum(dim=1, keepdim=True)
    after = heard.square().sum(dim=1, keepdim=True)
    return heard * torch.sqrt(before / after.clamp_min(1e-12))


def require_simulator() -> None:
    """Looks whether rooms can be simulated, without simulating any.

    Raises:
        VoiceguardError: pyroomacoustics is not installed.
    """
    if find_spec("pyroomacoustics") is None:
        raise VoiceguardError(
            "simulating rooms needs pyroomacoustics, which is not installed",
            hint=f"run `{install_command('pyroomacoustics')}`, or train without rooms: "
            "--set augment.p_room=0",
        )


def simulate_rooms(
    num_rooms: int,
    rng: np.random.Generator,
    *,
    hall_share: float = 0.0,
    track: Track = untracked,
) -> Tensor:
    """Responses of random shoebox rooms, by image sources first and a diffuse tail later.

    The image source method alone needs orders of 50 and more to last an RT60 of 0.8 s. Here it
    gives the direct path and the early reflections; from where its orders end, Gaussian noise goes
    on, decaying at the room's RT60, treble faster than bass as air and walls have it.

    Args:
        num_rooms: How many.
        rng: Draws them.
        hall_share: How many of them are halls (RT60 0.8 to 4 s) and not living rooms (to 0.9 s).
        track: Shows progress.

    Returns:
        ``(num_rooms, ROOM_TAPS)`` float32, direct path at ``DIRECT_TAP``, unit energy.

    Raises:
        VoiceguardError: pyroomacoustics is not installed.

    Source: Allen and Berkley 1979; Lehmann and Johansson 2010 (diffuse reverberation model).
    """
    try:
        import pyroomacoustics  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise VoiceguardError(
            "simulating rooms needs pyroomacoustics, which is not installed",
            hint=f"run `{install_command('pyroomacoustics')}`, or train with measured rooms only",
        ) from error
    num_halls = round(hall_share * num_rooms)
    kinds = [_HALL] * num_halls + [_ROOM] * (num_rooms - num_halls)
    responses = [
        _simulate_room(pyroomacoustics, kind, rng) for kind in track(kinds, "simulating rooms")
    ]
    return torch.from_numpy(np.stack(responses))


def load_rooms(source: Path, *, split: str | None = None) -> tuple[Tensor, tuple[Skip, ...]]:
    """Measured responses, each as mono 16 kHz.

    Args:
        source: A folder or a manifest CSV, as ``read_noise`` reads it.
        split: Of the manifest.

    Returns:
        ``(num_rooms, ROOM_TAPS)`` float32, direct path at ``DIRECT_TAP``, unit energy; and what
        could not be used.

    Raises:
        UsageError: There is no file, or none that can be used.
    """
    skips: list[Skip] = []
    responses = [
        _aligned(samples, _direct_path(samples)) for _, samples in _read(source, split, skips)
    ]
    if not responses:
        raise UsageError(f"no usable room response in {source}", hint="see --rir in --help")
    return torch.from_numpy(np.stack(responses)), tuple(skips)


def load_noises(
    source: Path, *, split: str | None = None
) -> tuple[list[Tensor], list[Tensor], tuple[Skip, ...]]:
    """Recorded noise and music, each as mono 16 kHz.

    Args:
        source: A folder or a manifest CSV, as ``read_noise`` reads it.
        split: Of the manifest.

    Returns:
        Noises; music, which is what has "music" in its file's or subfolder's name; and what
        could not be used. Each recording is ``(num_samples,)`` float32.

    Raises:
        UsageError: There is no file, or none that can be used.
    """
    skips: list[Skip] = []
    noises: list[Tensor] = []
    music: list[Tensor] = []
    top = (source if source.is_dir() else source.parent).resolve()
    for path, samples in _read(source, split, skips):
        if len(samples) < _MIN_NOISE_S * SAMPLE_RATE_HZ:
            skips.append(Skip(path, f"shorter than {_MIN_NOISE_S} s"))
            continue
        names = (path.name, path.parent.name if path.parent.resolve() != top else "")
        is_music = any("music" in name.lower() for name in names)
        (music if is_music else noises).append(torch.from_numpy(within_full_scale(samples)))
    if not noises and not music:
        raise UsageError(f"no usable noise in {source}", hint="see --noise in --help")
    return noises, music, tuple(skips)


def within_full_scale(samples: Samples) -> Samples:
    """A recording in [-1, 1].

    What a resampler or a codec made of one click may be 60 dB louder than the rest, which would
    then be silence beside it, its level being taken over all.
    """
    return np.clip(samples, -1.0, 1.0)


def _read(source: Path, split: str | None, skips: list[Skip]) -> Iterator[tuple[Path, Samples]]:
    """Every file's audio; what is unreadable or silent goes to ``skips``."""
    for path in read_noise(source, split=split):
        try:
            samples = load_audio(path, 0)
        except AudioError as error:
            skips.append(Skip(path, str(error)))
            continue
        if not np.isfinite(samples).all():
            skips.append(Skip(path, "not a number in it"))
        elif np.max(np.abs(samples), initial=0.0) < _SILENT_PEAK:
            skips.append(Skip(path, "silent"))
        else:
            yield path, samples


def _direct_path(response: NDArray[np.floating]) -> int:
    """The first arrival, even where a reflection is somewhat louder."""
    sizes = np.abs(response)
    first = int(np.argmax(sizes >= sizes.max() / 2))
    return first + int(np.argmax(sizes[first : first + DIRECT_TAP // 2]))


def _aligned(response: NDArray[np.floating], direct: int) -> Samples:
    """Direct path to ``DIRECT_TAP``, cut to ``ROOM_TAPS``, unit energy."""
    lead = np.zeros(max(0, DIRECT_TAP - direct))
    trail = np.zeros(ROOM_TAPS)
    taps = np.concatenate((lead, response[max(0, direct - DIRECT_TAP) :], trail))[:ROOM_TAPS]
    return _unit_energy(taps)


def _unit_energy(taps: NDArray[np.float64]) -> Samples:
    return (taps / float(np.linalg.norm(taps))).astype(np.float32)


def _draw_room(kind: _Kind, rng: np.random.Generator) -> tuple[NDArray[np.float64], float, float]:
    """A shoebox's sides in metres, its RT60 in seconds and the absorption that gives it."""
    while True:
        sides_m = np.array([rng.uniform(*limits) for limits in kind.sides_m])
        rt60_s = float(rng.uniform(*kind.rt60_s))
        length, width, height = sides_m
        surface_m2 = 2 * (length * width + length * height + width * height)
        absorption = float(_SABINE_S_PER_M * sides_m.prod() / (surface_m2 * rt60_s))
        if absorption <= _MAX_ABSORPTION:
            return sides_m, rt60_s, absorption


def _draw_places(
    sides_m: NDArray[np.float64], distance_m: tuple[float, float], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the speaker and the microphone are, not at a wall, at a distance that is asked for."""
    low, high = np.full(3, _WALL_M), sides_m - _WALL_M
    while True:
        speaker = rng.uniform(low, high)
        direction = rng.standard_normal(3)
        direction *= rng.uniform(*distance_m) / np.linalg.norm(direction)
        microphone = speaker + direction
        if np.all((low <= microphone) & (microphone <= high)):
            return speaker, microphone


def _simulate_room(pyroomacoustics: Any, kind: _Kind, rng: np.random.Generator) -> Samples:  # noqa: ANN401
    """One response; the module comes as an argument because it is an extra and has no types."""
    sides_m, rt60_s, absorption = _draw_room(kind, rng)
    speaker, microphone = _draw_places(sides_m, kind.distance_m, rng)
    room = pyroomacoustics.ShoeBox(
        sides_m,
        fs=SAMPLE_RATE_HZ,
        materials=pyroomacoustics.Material(absorption),
        max_order=_MAX_ORDER,
    )
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    delay = float(np.linalg.norm(speaker - microphone)) / room.c * SAMPLE_RATE_HZ
    direct = round(delay) + pyroomacoustics.constants.get("frac_delay_length") // 2
    early = _aligned(np.asarray(room.rir[0][0], dtype=np.float64), direct)
    # Up to here no image of a higher order could have arrived: the shortest side is crossed most.
    complete = round(_MAX_ORDER * float(sides_m.min()) / room.c * SAMPLE_RATE_HZ - delay)
    return _with_tail(early, DIRECT_TAP + max(complete, 2 * _FADE_TAPS), rt60_s, rng)


def _with_tail(early: Samples, end: int, rt60_s: float, rng: np.random.Generator) -> Samples:
    """Replaces what is incomplete of a response by a diffuse tail that decays as the room does.

    Args:
        early: ``(ROOM_TAPS,)``.
        end: The tap up to which it is complete.
        rt60_s: Of the bass; treble has a part of it.
        rng: Draws the tail.
    """
    spectrum = np.fft.rfft(rng.standard_normal(ROOM_TAPS))
    hz = np.fft.rfftfreq(ROOM_TAPS, 1 / SAMPLE_RATE_HZ)
    bass_share = 1 / (1 + (hz / _TREBLE_HZ) ** 2)
    decays_s = (rt60_s, rt60_s * rng.uniform(*_TREBLE_RT60))
    since_s = (np.arange(ROOM_TAPS) - end) / SAMPLE_RATE_HZ
    bass, treble = (
        np.fft.irfft(spectrum * share, n=ROOM_TAPS) * 10 ** (-3 * since_s / decay_s)
        for share, decay_s in zip((bass_share, 1 - bass_share), decays_s, strict=True)
    )
    joint = slice(end - _FADE_TAPS, end)
    tail = bass + treble
    level = np.linalg.norm(early[joint]) / np.linalg.norm(tail[joint])
    rising = np.clip((np.arange(ROOM_TAPS) - joint.start) / _FADE_TAPS, 0, 1)
    whole = np.sqrt(1 - rising) * early + np.sqrt(rising) * level * tail
    return _unit_energy(whole)
