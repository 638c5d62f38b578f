"""What does fine-tuning to a household bring people who were kept out of it?

Run by hand: ``python -m tests.benchmarks.household MANIFEST --split train --corpus C --out OUT``.
Takes one corpus out, as a place that the encoder has never heard: some of its speakers are the
household, the others are strangers to every encoder here. Writes three manifests and prints the
commands: train without the corpus, fine-tune on the household, evaluate both on the others.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from voiceguard.lab.corpora.clips import seeded

SMALL = (
    "--set channels=128 --set voices=rounds --set num_voices=4 --set batch_s=64 "
    "--set learning_rate=2e-3 --set average_decay=0.99 --steps 600"
)
TUNING = (
    "--set channels=128 --set voices=rounds --set num_voices=4 --set batch_s=64 "
    "--set teacher={base} --set aam_weight=0 --set heldout_share=0 --set learning_rate=2e-4 "
    "--steps 300"
)


def main() -> None:
    """Splits the manifest and says what to run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--corpus", required=True, help="the one to take out")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the household's audio")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with options.manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if options.split in (None, row["split"])]
    for row in rows:
        row["path"] = str((options.manifest.parent / row["path"]).resolve())
    place = [row for row in rows if row["corpus"] == options.corpus]
    household = choose(place, options.minutes * 60)
    parts = {
        "elsewhere": [row for row in rows if row["corpus"] != options.corpus],
        "household": [row for row in place if row["speaker"] in household],
        "others": [row for row in place if row["speaker"] not in household],
    }
    for name, part in parts.items():
        write(options.out / name / "manifest.csv", part)
        print(f"# {name}: {len({(row['corpus'], row['speaker']) for row in part})} speakers")
    out = options.out
    base, tuned = out / "base/base.safetensors", out / "tuned/tuned.safetensors"
    elsewhere, home, others = (out / name / "manifest.csv" for name in parts)
    tuning = TUNING.format(base=base)
    print(f"voiceguard train {elsewhere} --out {out}/base {SMALL}")
    print(f"voiceguard train {home} --out {out}/tuned --init {base} {tuning}")
    print(f"voiceguard evaluate {others} --no-decisions --model {tuned} --model {base}")


def choose(rows: list[dict[str, str]], wanted_s: float) -> set[str]:
    """Speakers in a seeded order until they have spoken for so long."""
    speakers = sorted({row["speaker"] for row in rows})
    household: set[str] = set()
    spoken_s = 0.0
    for index in seeded("household").permutation(len(speakers)):
        if spoken_s >= wanted_s:
            break
        household.add(speakers[index])
        spoken_s += sum(float(r["seconds"]) for r in rows if r["speaker"] == speakers[index])
    return household


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """A manifest with absolute paths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
