"""The Silero backend, with the real network where its extra is installed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services import needs_shared
from tests.speech.vad import sounds
from voiceguard.errors import ConfigError, install_command
from voiceguard.speech.vad import VadConfig, make_vad
from voiceguard.speech.vad.silero import SileroVad, open_session
from voiceguard.types import SAMPLE_RATE_HZ

SILERO = VadConfig(backend="silero")


@pytest.fixture(scope="module")
def detector() -> SileroVad:
    """One network for all tests; each resets it."""
    pytest.importorskip("onnxruntime", reason="the extra silero is not installed")
    pytest.importorskip("silero_vad.data", reason="the extra silero is not installed")
    return SileroVad(enter_score=0.5, exit_score=0.35)


@needs_shared
@pytest.mark.usefixtures("detector")
def test_reading_is_speech_and_noise_is_not() -> None:
    assert np.mean(sounds.heard(sounds.reading(seconds=10), SILERO)) >= 0.9
    assert sounds.heard_s(sounds.noise("pink", 5, -25), SILERO) == 0.0


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=15))
def test_scores_do_not_depend_on_how_the_input_is_cut(
    detector: SileroVad, lengths: list[int]
) -> None:
    samples = sounds.babbling(sum(lengths) / SAMPLE_RATE_HZ, -20)
    ends = np.cumsum(lengths)
    detector.reset()
    scores = []
    for end, length in zip(ends, lengths, strict=True):
        scores += detector.push(samples[end - length : end])
    detector.reset()
    assert scores == detector.push(samples)
    assert len(scores) == len(samples) // 512 * 512 // 160


@pytest.mark.usefixtures("detector")
def test_the_detector_does_not_import_torch() -> None:
    code = (
        "import sys; from voiceguard.speech.vad import VadConfig, make_vad;"
        "make_vad(VadConfig(backend='silero')); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    open_session.cache_clear()
    with pytest.raises(ConfigError, match="silero") as caught:
        make_vad(SILERO)
    assert install_command("silero-vad", "onnxruntime") in caught.value.hint
