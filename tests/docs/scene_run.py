"""One real run over the demo's scene: the daemon's decisions, and how the LLR grew meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceguard.audio.config import AudioConfig
from voiceguard.demo.household import Heard, demo_settings, match, run_demo
from voiceguard.demo.scene import Scene, load_scene
from voiceguard.pipeline.segments import SegmentEvidence
from voiceguard.scoring.policy import Evidence
from voiceguard.service.kit import assemble, open_store
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, SegmentEnd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from voiceguard.demo.scene import Said
    from voiceguard.service.kit import Kit

SMOOTHING_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of speech: how the best LLR grew with its windows."""

    start_s: float
    end_s: float
    at_s: tuple[float, ...]
    llr: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SceneRun:
    """What was said, what was heard of it, and what the daemon decided."""

    scene: Scene
    decisions: tuple[Heard, ...]
    """As the MQTT client received them, provisional ones too."""
    segments: tuple[Segment, ...]

    @property
    def finals(self) -> list[Mapping[str, Any]]:
        """The payloads of the final decisions."""
        return [each.payload for each in self.decisions if each.is_final]

    @property
    def accept_llr(self) -> float:
        """What an accept asked for at the end of a segment."""
        return next(
            float(each["accept_llr"]) for each in self.finals if each["accept_llr"] is not None
        )

    def about(self, item: Said) -> list[Heard]:
        """The final decisions about one thing that was said."""
        finals = (each for each in self.decisions if each.is_final)
        return [each for each in finals if match(each, self.scene.said) is item]


def run_scene() -> SceneRun:
    """Runs the daemon over the scene, as fast as it goes, then follows the LLR window by window."""
    scene = load_scene()
    decisions: list[Heard] = []
    with tempfile.TemporaryDirectory() as folder:
        running = run_demo(scene, Path(folder), is_paced=False, on_heard=decisions.append)
        assert asyncio.run(running), "the demo was interrupted"
        settings = demo_settings(Path(folder) / "state", AudioConfig(), "none")
        segments = tuple(_segments(scene, assemble(settings)))
    return SceneRun(scene, tuple(decisions), segments)


def _segments(scene: Scene, kit: Kit) -> Iterator[Segment]:
    voiceprints = open_store(kit.settings).load_all(encoder_id=kit.encoder.info.encoder_id)
    judge, encoder = kit.make_judge(voiceprints.voiceprints), kit.encoder.open_stream()
    ear = kit.make_ear()
    at_s: list[float] = []
    llr: list[float] = []
    evidence: SegmentEvidence | None = None
    for item in ear.hear(scene.samples):
        if isinstance(item, SegmentEnd):
            start_s, end_s = item.first_sample / SAMPLE_RATE_HZ, item.end_sample / SAMPLE_RATE_HZ
            yield Segment(start_s, end_s, tuple(at_s), tuple(llr))
            at_s, llr, evidence = [], [], None
        elif not item.is_probe:
            evidence = evidence or SegmentEvidence(item.segment, ear.max_window_samples)
            evidence.add(item, encoder.embed(item))
            rests_on = Evidence(
                net_speech_s=item.segment_speech_s, snr_db=item.snr_db, is_final=True
            )
            (score,) = judge.score(evidence.pooled(), rests_on)
            at_s.append(item.end_sample / SAMPLE_RATE_HZ)
            llr.append(score.llr or 0.0)


def level_dbfs(scene: Scene) -> NDArray[np.float64]:
    """The level every 10 ms, ``(num_frames,)`` dBFS, averaged over 50 ms."""
    num_frames = len(scene.samples) // FRAME_SAMPLES
    frames = scene.samples[: num_frames * FRAME_SAMPLES].reshape(num_frames, FRAME_SAMPLES)
    power = np.convolve(
        np.mean(frames.astype(np.float64) ** 2, axis=1),
        np.full(SMOOTHING_FRAMES, 1 / SMOOTHING_FRAMES),
        mode="same",
    )
    level: NDArray[np.float64] = 10 * np.log10(power + 1e-12)
    return level
