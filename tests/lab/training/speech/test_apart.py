"""Labels that stand for several people: what the teacher calls different voices is taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.fakes import tone
from tests.lab.training.speech.test_drawn import Loudness
from voiceguard.lab.training.speech.apart import apart, labels_apart
from voiceguard.lab.training.speech.material import Passage, to_pcm

if TYPE_CHECKING:
    from pathlib import Path


def test_a_label_of_two_voices_becomes_two_and_others_stay() -> None:
    rng = np.random.default_rng(0)
    people = np.eye(6)[[0, 1, 0, 1, 2, 2, 3]] + 0.1 * rng.standard_normal((7, 6))

    found = apart(people.astype(np.float32), ["home"] * 4 + ["anna"] * 2 + ["once"])

    assert found == ["home", "home#1", "home", "home#1", "anna", "anna", "once"]


def test_the_teacher_is_asked_once_and_only_about_labels_of_several_passages(
    tmp_path: Path,
) -> None:
    passages = [
        Passage(speaker, "tones", to_pcm(tone(hz, seconds)))
        for speaker, hz, seconds in (("a", 300, 1.0), ("a", 310, 0.2), ("b", 700, 1.0))
    ]
    teacher = Loudness()

    first = labels_apart(passages, teacher, 8000, tmp_path, key="k")
    again = labels_apart(passages, teacher, 8000, tmp_path, key="k")
    labels_apart(passages, teacher, 8000, tmp_path, key="other")

    assert teacher.num_asked == [2, 2]
    assert first == again
    assert first[2] == "b"
    assert {label.split("#")[0] for label in first[:2]} == {"a"}
