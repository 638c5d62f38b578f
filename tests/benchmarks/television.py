"""The television: what a raised bar costs its owner, and what it keeps out.

::

    python -m tests.benchmarks.television /work/shared/speech/manifest.csv [--owners 20]

Owners are enrolled from three utterances. A television is other speakers of the corpus, one after
the other, and music or noise where there is a folder of it. Scored once and decided twice, at
policy.p_fa and at television.p_fa: the owner alone, the owner over a television 10 and 5 dB below
the voice, and the television alone. Intervals of 95 %: owners, with all their utterances, drawn
anew 2000 times; a share of none or of all, where that can't tell anything, by Clopper and Pearson.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.audio.files import load_audio
from voiceguard.pipeline.television import TelevisionConfig, raised
from voiceguard.service.kit import assemble
from voiceguard.service.utterance import examine
from voiceguard.settings import load_settings
from voiceguard.types import Outcome, Template, Voiceprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voiceguard.pipeline.judge import Judge
    from voiceguard.service.kit import Kit
    from voiceguard.types import Samples

TEST_S, TURNS = 4.0, 6
RATE_HZ = 16_000


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.television")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="eval")
    parser.add_argument("--owners", type=int, default=20)
    asked = parser.parse_args()
    dice = np.random.default_rng(13)
    speakers = by_speaker(asked.manifest, asked.split)
    names = [name for name, paths in speakers.items() if len(paths) >= 3 + TURNS]
    dice.shuffle(names)
    owners = names[: asked.owners]
    people = sorted(speakers.keys() - {*owners})
    if not owners or len(people) < 2:
        parser.error("too few speakers with enough utterances of 3 s")
    kit = assemble(load_settings())
    scenes_of: list[dict[str, list[int]]] = []
    for owner in owners:
        counts = defaultdict[str, list[int]](lambda: [0, 0, 0])
        scenes_of.append(counts)
        judge = kit.make_judge([enrolled(kit, owner, speakers[owner][:3])])
        surer = raised(judge, TelevisionConfig().p_fa)
        for path in speakers[owner][3 : 3 + TURNS]:
            voice = load_audio(path)[: round(TEST_S * RATE_HZ)]
            show = television([speakers[each] for each in people], len(voice), dice)
            scenes = {"owner": voice, "television": show}
            scenes |= {f"owner_over_{db}_db": mixed(voice, show, db) for db in (10, 5)}
            for scene, samples in scenes.items():
                tally(counts[scene], kit, (judge, surer), samples)
    for scene in scenes_of[0]:
        print(json.dumps({"scene": scene, **told(np.array([each[scene] for each in scenes_of]))}))


def told(counts: NDArray[np.int_]) -> dict[str, object]:
    """One scene's figures, of ``(num_owners, 3)`` counts: utterances, accepted, accepted raised."""
    num, plain, strict = (int(each) for each in counts.sum(axis=0))
    intervals = {
        "share_95": interval(counts[:, 0], counts[:, 1]),
        "share_raised_95": interval(counts[:, 0], counts[:, 2]),
        "lost_95": interval(counts[:, 0], counts[:, 1] - counts[:, 2]),
    }
    return {"num": num, "accepted": plain, "accepted_raised": strict, **intervals}


def interval(num: NDArray[np.int_], hits: NDArray[np.int_]) -> list[float]:
    """95 % of the share, in percent, of ``(num_owners,)`` counts."""
    total, count = int(num.sum()), int(hits.sum())
    if count in {0, total}:
        reach = 100 * (1 - 0.025 ** (1 / total))
        return [0.0, round(reach, 1)] if count == 0 else [round(100 - reach, 1), 100.0]
    drawn = np.random.default_rng(13).integers(len(num), size=(2000, len(num)))
    shares = 100 * hits[drawn].sum(axis=1) / num[drawn].sum(axis=1)
    return [round(float(each), 1) for each in np.quantile(shares, (0.025, 0.975))]


def by_speaker(manifest: Path, split: str) -> dict[str, list[Path]]:
    """Long enough utterances, a speaker's in the manifest's order."""
    found: dict[str, list[Path]] = defaultdict(list)
    with manifest.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == split and float(row["seconds"]) >= 3.0:
                found[f"{row['corpus']}/{row['speaker']}"].append(manifest.parent / row["path"])
    return found


def enrolled(kit: Kit, name: str, paths: list[Path]) -> Voiceprint:
    """A voiceprint of whole utterances."""
    from datetime import UTC, datetime  # noqa: PLC0415

    now = datetime.now(UTC)
    heard = [examine(kit, load_audio(path)) for path in paths]
    templates = tuple(
        Template(
            embedding=each.embedding,
            net_speech_s=each.evidence.net_speech_s,
            snr_db=each.evidence.snr_db,
            created_at=now,
        )
        for each in heard
        if each.embedding is not None
    )
    return Voiceprint(
        speaker="owner",
        display_name=name,
        encoder_id=kit.encoder.info.encoder_id,
        templates=templates,
        consent_at=now,
        created_at=now,
        updated_at=now,
    )


def television(people: list[list[Path]], num_samples: int, dice: np.random.Generator) -> Samples:
    """Two of them, one after the other, cut together as a television cuts."""
    first, second = (people[i] for i in dice.choice(len(people), 2, replace=False))
    half = num_samples // 2
    parts = [load_audio(each[int(dice.integers(len(each)))]) for each in (first, second)]
    cut = [np.resize(part, half + 1) for part in parts]
    show: Samples = np.concatenate(cut)[:num_samples].astype(np.float32)
    return show


def mixed(voice: Samples, show: Samples, db: float) -> Samples:
    """The voice over a television that is so many decibels below it."""
    show = np.resize(show, len(voice))
    gain = np.sqrt(np.mean(voice**2) / max(float(np.mean(show**2)), 1e-12)) * 10 ** (-db / 20)
    both = voice + gain * show
    scaled: Samples = (both / max(1.0, float(np.abs(both).max()))).astype(np.float32)
    return scaled


def tally(count: list[int], kit: Kit, judges: tuple[Judge, Judge], samples: Samples) -> None:
    """How often each judge accepts; a change of voice is judged as the daemon does."""
    heard = examine(kit, samples, change_cosine=judges[0].change_cosine)
    count[0] += 1
    for place, judge in enumerate(judges, start=1):
        verdict = judge.judge(heard.embedding, heard.evidence)
        count[place] += verdict.outcome is Outcome.ACCEPTED


if __name__ == "__main__":
    main()
