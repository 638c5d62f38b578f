"""What does each part of the recipe bring, how wide should the network be, would more voices help?

Run by hand: ``python -m tests.benchmarks.ablations DATA --noise N --rir R --out OUT``. Trains the
recipe small and short, then without each of its parts in turn, at other widths, on fewer speakers,
and with those of ``--synthetic DIR`` (``python -m voiceguard.lab.training.speech.synthetic DIR``)
beside the real ones; a run that is there already is not trained again. Then measure all of them on
other corpora, the full recipe against each of the others, with the command that it prints at the
end.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from voiceguard.lab.corpora.clips import seeded
from voiceguard.lab.corpora.corpus import Corpus, read_corpus, together
from voiceguard.lab.training.hardware import find_hardware
from voiceguard.lab.training.inputs import Inputs, Schedule
from voiceguard.lab.training.recipe import recipe
from voiceguard.lab.training.run import Run
from voiceguard.lab.training.students.kept import keep

if TYPE_CHECKING:
    from voiceguard.lab.training.trainer import Progress

BASE = (
    *("channels=128", "voices=rounds", "num_voices=10", "batch_s=64", "learning_rate=2e-3"),
    *("average_decay=0.99", "large_margin_share=0.1"),
)


@dataclass(frozen=True)
class Variant:
    """A recipe that differs from the base in one thing."""

    name: str
    changes: tuple[str, ...] = ()
    speakers: float = 1.0
    """Share of the speakers that it learns from."""
    synthetic: bool = False
    """Learns from synthetic speakers as well."""


VARIANTS = (
    Variant("full"),
    Variant("no-teacher", ("aam_weight=1", "teacher=none")),
    Variant("no-classification", ("aam_weight=0",)),
    Variant("no-similarity", ("similarity_weight=0",)),
    Variant("drawn", ("voices=drawn",)),
    Variant("drawn-no-frames", ("voices=drawn", "frames_weight=0")),
    Variant("no-changed-voices", ("num_voices=1",)),
    Variant("no-formants", ("changed_formants=[1, 1]",)),
    Variant("no-noise", ("augment.p_noise=0",)),
    Variant("no-babble", ("augment.p_babble=0",)),
    Variant("no-rooms", ("augment.p_room=0",)),
    Variant("no-halls", ("augment.hall_share=0",)),
    Variant("no-channels", ("augment.p_band_limit=0", "augment.p_codec=0")),
    Variant("no-corruption", ("augment.p_clean=1",)),
    Variant("no-spec-augment", ("spec_augment=0",)),
    Variant("fixed-crops", ("crop_s=[1.8, 1.8]",)),
    Variant("no-large-margin", ("large_margin_share=0",)),
    Variant("no-averaging", ("average_decay=0",)),
    Variant("no-whitening", ("whitening=0",)),
    Variant("sub-centers", ("sub_centers=2",)),
    Variant("inter-top-k", ("inter_top_k=5",)),
    Variant("narrow", ("channels=64",)),
    Variant("wide", ("channels=256",)),
    Variant("half-of-speakers", ("heldout_share=0",), speakers=0.5),
    Variant("quarter-of-speakers", ("heldout_share=0",), speakers=0.25),
    Variant("eighth-of-speakers", ("heldout_share=0",), speakers=0.125),
    Variant("with-synthetic", synthetic=True),
)


def main() -> None:
    """Trains what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--rir", type=Path)
    parser.add_argument("--synthetic", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[variant.name for variant in VARIANTS])
    options = parser.parse_args()
    corpus = read_corpus(options.data, split=options.split)
    models = []
    for variant in VARIANTS:
        path = options.out / variant.name / f"{variant.name}.safetensors"
        can_be_made = not variant.synthetic or options.synthetic is not None
        if variant.name in options.only and can_be_made and not path.exists():
            train(variant, options, corpus)
        if path.exists():
            models.append(path)
    chosen = " ".join(f"--model {path}" for path in models)
    print(f"voiceguard evaluate OTHER_CORPORA --no-decisions {chosen}")


def train(variant: Variant, options: argparse.Namespace, corpus: Corpus) -> None:
    """Trains one, with the voices of the full recipe where they are the same."""
    config = recipe([*BASE, *variant.changes], num_steps=options.steps)
    folder = options.out / variant.name
    folder.mkdir(parents=True, exist_ok=True)
    is_full = variant.speakers == 1 and not variant.synthetic
    for kept in made_before(options.out, folder) if is_full else ():
        # Made again if this variant's voices are others: their key says so.
        os.link(kept, folder / kept.name)
    corpus = fewer(corpus, variant.speakers)
    if variant.synthetic:
        corpus = together((corpus, read_corpus(options.synthetic)))
    inputs = Inputs(
        corpus=corpus,
        out=folder,
        noise=options.noise,
        rooms=options.rir,
        split=options.split,
    )
    hardware = find_hardware("auto", num_threads=options.threads)
    run = Run(config, inputs, hardware)
    begun = time.process_time()
    run.train(
        Schedule(report_every=100, heldout_every=options.steps, save_every=200),
        on_report=lambda progress: tell(variant, progress),
        is_stopped=lambda: False,
    )
    compute = f"{(time.process_time() - begun) / 60:.0f} CPU minutes"
    command = "python -m tests.benchmarks.ablations"
    made = keep(run, command=command, compute=compute, licence=None, half=False)
    for scratch in [*folder.glob("voices-*"), folder / "speech.i16"]:
        if variant.name != "full":
            scratch.unlink(missing_ok=True)
    shown = ", ".join(f"{name} {100 * eer:.1f}" for name, eer in made.eers.items())
    print(f"{variant.name}: {compute}; held-out EER in %: {shown}", flush=True)


def tell(variant: Variant, progress: Progress) -> None:
    """A line."""
    print(f"  {variant.name} {progress.step}/{progress.num_steps} {progress.losses}", flush=True)


def made_before(out: Path, folder: Path) -> list[Path]:
    """The material and the voices of the full recipe, if there and not in the folder."""
    found = [*(out / "full").glob("voices-*"), out / "full/speech.i16", out / "full/material.json"]
    return [path for path in found if path.exists() and not (folder / path.name).exists()]


def fewer(corpus: Corpus, share: float) -> Corpus:
    """A seeded choice of the speakers; a smaller share is part of a larger one."""
    speakers = sorted({each.speaker for each in corpus.recordings})
    order = seeded("fewer").permutation(len(speakers))
    kept = {speakers[index] for index in order[: round(share * len(speakers))]}
    recordings = tuple(each for each in corpus.recordings if each.speaker in kept)
    return replace(corpus, recordings=recordings)


if __name__ == "__main__":
    main()
