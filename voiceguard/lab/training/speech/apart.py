"""Labels whose passages a teacher calls different voices, taken apart.

Some labels stand for a language, a household or a device: a window that goes on from one person to
the next has a target that is nobody's.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from voiceguard.lab.progress import untracked
from voiceguard.lab.training.speech.material import FULL_SCALE, MAX_ABOUT_BYTES
from voiceguard.validation.parsing import read_json_object
from voiceguard.voiceprints.durable import replace_durably

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from voiceguard.lab.progress import Track
    from voiceguard.lab.training.speech.hearing import WindowTeacher
    from voiceguard.lab.training.speech.material import Passage

SAME_VOICE_COSINE = 0.5
"""Of two passages' centred embeddings under one label. Below it they may be two people's."""
_AT_ONCE = 16


def labels_apart(
    passages: Sequence[Passage],
    teacher: WindowTeacher,
    window_samples: int,
    folder: Path,
    *,
    key: str,
    device: torch.device | str = "cpu",
    track: Track = untracked,
) -> list[str]:
    """A label for each passage: the speaker, and ``speaker#1`` and so on for further voices.

    Args:
        passages: Of everybody who is learnt.
        teacher: Hears the beginning of each passage of a speaker who has several.
        window_samples: Of that; a shorter passage is repeated.
        folder: Where the labels are kept, so that a resumed run need not ask again.
        key: Names passages and teacher.
        device: Of the teacher.
        track: Shows progress.

    Raises:
        OSError: The folder cannot be written.
    """
    path = folder / "labels.json"
    speakers = [passage.speaker for passage in passages]
    if (kept := _kept(path, key)) is not None:
        return kept
    count = Counter(speakers)
    several = [index for index, speaker in enumerate(speakers) if count[speaker] > 1]
    batches = [several[first : first + _AT_ONCE] for first in range(0, len(several), _AT_ONCE)]
    labels = list(speakers)
    heard = []
    for batch in track(batches, "labels: is each one voice?"):
        windows = np.stack([np.resize(passages[index].pcm, window_samples) for index in batch])
        embeddings = teacher(torch.from_numpy(windows).to(device) / FULL_SCALE).embeddings
        heard.append(embeddings.float().cpu().numpy())
    if heard:
        found = apart(np.concatenate(heard), [speakers[index] for index in several])
        for index, label in zip(several, found, strict=True):
            labels[index] = label
    replace_durably((path, json.dumps({"key": key, "labels": labels}).encode()))
    return labels


def apart(embeddings: NDArray[np.float32], speakers: Sequence[str]) -> list[str]:
    """Labels by voices: passages that are alike to the first that is left are of one.

    Args:
        embeddings: ``(num_passages, dim)``, of any norm.
        speakers: Of each.
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    labels = list(speakers)
    rows_of: dict[str, list[int]] = {}
    for row, speaker in enumerate(speakers):
        rows_of.setdefault(speaker, []).append(row)
    for speaker, rows in rows_of.items():
        left, number = rows, 0
        while left:
            first, rest = left[0], left[1:]
            others = [row for row in rest if centred[first] @ centred[row] <= SAME_VOICE_COSINE]
            for row in {*left} - {*others}:
                labels[row] = f"{speaker}#{number}" if number else speaker
            left, number = others, number + 1
    return labels


def _kept(path: Path, key: str) -> list[str] | None:
    try:
        about = read_json_object(path, max_bytes=MAX_ABOUT_BYTES)
        return list(about["labels"]) if about["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
