"""Teachers: as many as there is work for, answers in order, each asked by one at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.fakes import PitchEncoder, tone
from voiceguard.lab.training.speech.teachers import Teachers

if TYPE_CHECKING:
    from voiceguard.types import Embedding, Samples

VOICES = [tone(300.0 + 10 * number, 0.5) for number in range(40)]


class Strict(PitchEncoder):
    """Refuses to be asked by two threads at once."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def embed(self, samples: Samples) -> Embedding:
        assert self._lock.acquire(blocking=False), "two threads at once"
        try:
            return super().embed(samples)
        finally:
            self._lock.release()


@dataclass
class Loading:
    """Counts."""

    loaded: list[PitchEncoder] = field(default_factory=list)

    def __call__(self) -> PitchEncoder:
        self.loaded.append(Strict())
        return self.loaded[-1]


@pytest.mark.parametrize("num", [1, 2, 8])
def test_answers_come_in_the_order_of_the_questions(num: int) -> None:
    loading = Loading()
    teachers = Teachers(loading, num)
    assert len(loading.loaded) == 1

    found = teachers.embed(VOICES, "asking")

    expected = [PitchEncoder().embed(voice) for voice in VOICES]
    np.testing.assert_array_equal(np.stack(found), np.stack(expected))
    assert len(loading.loaded) == min(num, 3)  # 40 voices are 3 batches


def test_what_goes_wrong_in_a_thread_is_told() -> None:
    class Failing(PitchEncoder):
        def embed(self, samples: Samples) -> Embedding:
            raise ValueError(f"{len(samples)} samples are too short")

    with pytest.raises(ValueError, match="too short"):
        Teachers(Failing, 2).embed(VOICES, "asking")
