"""What is heard: noise that becomes people, speech that is missed, and what hearing costs.

Run by hand: ``python -m tests.benchmarks.what_is_heard SPEECH NOISE [--backend cascade ...]``, both
manifests. The same sounds for every backend, in one run:

- noise without words, each file by itself between room tone, at three levels: final decisions of
  the whole path, with one voice enrolled (the demo's)
- whole utterances, clean, in noise, and so quiet that their speech has the level stated: those of
  which no segment lies mostly within them (as ``voiceguard evaluate`` counts), and those with
  too little net speech for a decision
- processor time of hop 2 over silence and over speech, in percent of a core
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.recordings import TAKES
from voiceguard.audio.files import load_audio
from voiceguard.enrollment import Takes
from voiceguard.lab.corpora.clips import Clip, in_a_room, seeded, speech_of, speech_rms
from voiceguard.lab.corpora.conditions import Noisy
from voiceguard.lab.corpora.corpus import Corpus, read_corpus, read_noise
from voiceguard.lab.evaluation.daemon.playback import hear
from voiceguard.service.kit import Kit, assemble
from voiceguard.settings import load_settings
from voiceguard.speech.ear import Ear
from voiceguard.speech.gate import SpeechGate
from voiceguard.speech.vad import VadConfig, make_vad
from voiceguard.speech.windows import WindowCutter
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples, SegmentEnd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voiceguard.pipeline.judge import Judge

WITH_WORDS = ("babble_synth", "tv_like_synth")
"""Sets of the noise manifest in which people talk."""
NOISE_LEVELS_DB = (-50, -35, -20)
QUIET_DB = (-45, -55, -62)
ROOM_TONE_DB = -75
MIN_INSIDE = 0.5
SHORTEST_S = 0.8
BLOCK = SAMPLE_RATE_HZ // 10
COST_S = 60


def main() -> None:
    """Prints it all, backend by backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("noise", type=Path)
    parser.add_argument("--split", default="eval", help="of speech")
    parser.add_argument("--noise-split", nargs="+", default=["eval", "test"])
    parser.add_argument("--backend", nargs="+", default=["energy", "silero", "cascade"])
    parser.add_argument("--utterances", type=int, default=160)
    options = parser.parse_args()
    noise = [load_audio(path) for path in wordless(options.noise, options.noise_split)]
    minutes = sum(map(len, noise)) / SAMPLE_RATE_HZ / 60
    print(
        f"noise: {len(noise)} files of {options.noise} ({', '.join(options.noise_split)}), "
        f"without {', '.join(WITH_WORDS)}: {minutes:.1f} min at each of "
        f"{len(NOISE_LEVELS_DB)} levels"
    )
    corpus = read_corpus(options.speech, split=options.split)
    clips = list(utterances(corpus, read_noise(options.noise, split="eval"), options.utterances))
    print(f"speech: {len(clips)} utterances of {options.speech} ({options.split})")
    kit = assemble(load_settings(None))
    for backend in options.backend:
        vad = VadConfig(backend=backend)
        settings = kit.settings.model_copy(update={"vad": vad})
        heard = Kit(
            settings=settings,
            encoder=kit.encoder,
            cohort=kit.cohort,
            calibration=kit.calibration,
        )
        print(f"\n{backend}")
        tell_noise(heard, noise)
        for condition in clips[0]:
            tell_speech(condition, [each[condition] for each in clips], vad)
        tell_cost([each["clean"] for each in clips], vad)


def wordless(manifest: Path, splits: list[str]) -> list[Path]:
    """Noise in which nobody talks."""
    with manifest.open(newline="", encoding="utf-8") as file:
        listed = [
            Path(row["path"]).name
            for row in csv.DictReader(file)
            if row["split"] in splits
            and row["path"].startswith("noise/")
            and row["set"] not in WITH_WORDS
        ]
    return [manifest.parent / name for name in listed]


def utterances(corpus: Corpus, noises: tuple[Path, ...], number: int) -> Iterator[dict[str, Clip]]:
    """Of a corpus, in a seeded order: how each arrives, by condition."""
    recordings = list(corpus.recordings)
    seeded("what is heard").shuffle(recordings)
    conditions = [Noisy(snr_db, noises) for snr_db in (10.0, 5.0)]
    for each in recordings[:number]:
        samples = load_audio(each.path)
        place = (0, each.speaker, each.path.name)
        gate = SpeechGate(make_vad(VadConfig(backend="energy")))
        speech = speech_of(samples, gate, seeded(*place))
        if not speech.net_s:
            continue
        rms = speech_rms(speech)
        clean = in_a_room(samples, speech.quiet_rms, seeded(*place, "room"))
        clips = {"clean": clean}
        for condition in conditions:
            clips[condition.name] = condition.hear(clean, rms, seeded(*place, condition.name))
        for level_db in QUIET_DB:
            quiet = np.float32(10 ** (level_db / 20) / rms) * clean.samples
            clips[f"at {level_db} dB"] = Clip(quiet, clean.start_s, clean.end_s)
        yield clips


def tell_noise(kit: Kit, noise: list[Samples]) -> None:
    """Final decisions by level and outcome."""
    judge = enrolled(kit)
    rng = seeded("room tone")
    for level_db in NOISE_LEVELS_DB:
        outcomes: Counter[str] = Counter()
        for samples in noise:
            rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
            gain = 10 ** (level_db / 20) / max(rms, 1e-9)
            loud = (gain * samples).clip(-1, 1).astype(np.float32)
            clip = np.concatenate((room_tone(2.0, rng), loud, room_tone(0.75, rng)))
            outcomes.update(
                str(segment.final.put_to(judge).outcome)
                for segment in hear(kit, clip, change_cosine=None)
            )
        print(f"  noise at {level_db} dB: {outcomes.total()} finals, {dict(outcomes)}")


def enrolled(kit: Kit) -> Judge:
    """With the demo's voice."""
    now = datetime.now(UTC)
    takes = Takes(kit.take_judge)
    for take in TAKES:
        takes.add(load_audio(take), recorded_at=now)
    return kit.make_judge([takes.voiceprint("demo", consent_at=now, now=now)])


def room_tone(seconds: float, rng: np.random.Generator) -> Samples:
    """White."""
    tone = 10 ** (ROOM_TONE_DB / 20) * rng.standard_normal(round(seconds * SAMPLE_RATE_HZ))
    return tone.astype(np.float32)


def tell_speech(condition: str, clips: list[Clip], vad: VadConfig) -> None:
    """Misses, as ``voiceguard evaluate`` has them, and too little heard."""
    counts = Counter(fate(clip, vad) for clip in clips)
    shares = ", ".join(
        f"{counts[name] / len(clips):.1%} {name}" for name in ("not heard", "less than 0.8 s heard")
    )
    print(f"  utterances {condition}: {shares}")


def fate(clip: Clip, vad: VadConfig) -> str:
    """What becomes of an utterance at the gate."""
    net_s = [
        end.net_speech_s
        for end in segments(clip.samples, vad)
        if min(end.end_sample / SAMPLE_RATE_HZ, clip.end_s)
        - max(end.first_sample / SAMPLE_RATE_HZ, clip.start_s)
        >= MIN_INSIDE * (end.end_sample - end.first_sample) / SAMPLE_RATE_HZ
    ]
    if not net_s:
        return "not heard"
    return "heard" if max(net_s) >= SHORTEST_S else "less than 0.8 s heard"


def segments(samples: Samples, vad: VadConfig) -> Iterator[SegmentEnd]:
    """Block by block, as a microphone delivers."""
    ear = Ear(SpeechGate(make_vad(vad)), WindowCutter())
    for first in range(0, len(samples), BLOCK):
        for item in ear.push(samples[first : first + BLOCK]):
            if isinstance(item, SegmentEnd):
                yield item
    for item in ear.finish():
        if isinstance(item, SegmentEnd):
            yield item


def tell_cost(clips: list[Clip], vad: VadConfig) -> None:
    """Processor time of hop 2, the median of three."""
    room = room_tone(COST_S, seeded("silence"))
    spoken = np.concatenate([clip.samples for clip in clips])[: COST_S * SAMPLE_RATE_HZ]
    sounds: Mapping[str, Samples] = {"silence": room, "speech": spoken}
    for name, samples in sounds.items():
        whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
        costs_s = []
        for _ in range(3):
            began_s = time.process_time()
            list(segments(whole, vad))
            costs_s.append(time.process_time() - began_s)
        share = sorted(costs_s)[1] / (len(whole) / SAMPLE_RATE_HZ)
        print(f"  hop 2 in {name}: {share:.2%} of a core")


if __name__ == "__main__":
    main()
