"""Hop 3 as the pipeline uses it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.conftest import synthetic_voice
from voiceguard.encoder.frontends.kaldi_config import KaldiFbankConfig
from voiceguard.encoder.loading import load_encoder
from voiceguard.encoder.running.torch_encoder import TorchEncoder, find_device
from voiceguard.errors import AudioError, EncoderError
from voiceguard.types import EncoderInfo, Samples, Window

if TYPE_CHECKING:
    from voiceguard.protocols import Encoder

VOICE = synthetic_voice(12.0)


def window(first_sample: int, end_sample: int, segment: int = 0) -> Window:
    """A window of the synthetic voice."""
    return Window(
        segment=segment,
        first_sample=first_sample,
        samples=VOICE[first_sample:end_sample],
        net_speech_s=1.0,
        segment_speech_s=1.0,
        snr_db=20.0,
    )


def test_an_embedding_is_a_unit_vector(encoder: Encoder) -> None:
    embedding = encoder.embed(VOICE[:32000])
    assert embedding.shape == (encoder.info.embedding_dim,)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-6)


def test_voices_are_told_apart(encoder: Encoder) -> None:
    """Two stretches of one synthetic voice are nearer than a stretch of another."""
    first, second = encoder.embed(VOICE[:48000]), encoder.embed(VOICE[60000:120000])
    stranger = encoder.embed(synthetic_voice(3.0, pitch_hz=230.0))
    assert first @ second > first @ stranger + 0.1


def test_a_stream_gives_what_whole_windows_give(encoder: Encoder) -> None:
    """As the pipeline cuts them: growing, then sliding; then a probe, another segment."""
    stream = encoder.open_stream()
    growing = [(8000, 8000 + end) for end in range(12_800, 64_001, 8000)]
    sliding = [(start, start + 64_000) for start in range(16_000, 80_001, 8000)]
    probes = [(48_000, 72_000), (120_000, 144_000)]
    for segment, bounds in enumerate(([*growing, *sliding, *probes], growing)):
        for start, end in bounds:
            cut = window(start, end, segment)
            difference = np.abs(stream.embed(cut) - encoder.embed(cut.samples))
            assert difference.max() < 1e-5


def test_streams_do_not_see_each_other(encoder: Encoder) -> None:
    """Segment 0 of one stream is not segment 0 of another."""
    first, second = encoder.open_stream(), encoder.open_stream()
    first.embed(window(0, 32_000))
    other = Window(
        segment=0,
        first_sample=0,
        samples=synthetic_voice(2.0, pitch_hz=230.0),
        net_speech_s=1.0,
        segment_speech_s=1.0,
        snr_db=20.0,
    )
    np.testing.assert_allclose(second.embed(other), encoder.embed(other.samples), atol=1e-6)


def test_threads_take_turns(encoder: Encoder) -> None:
    """Buffers are shared; results are not mixed up."""
    windows = [VOICE[start : start + 16_000 + start // 2] for start in range(0, 64_000, 8000)]
    expected = [encoder.embed(samples) for samples in windows]
    with ThreadPoolExecutor(4) as executor:
        for found, alone in zip(
            executor.map(encoder.embed, windows * 3), expected * 3, strict=True
        ):
            assert np.array_equal(found, alone)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "0.00 s of audio are too short"),
        (VOICE[:7999], "too short to embed: encoder .* needs at least 0.5 s"),
        (np.zeros((16000, 2), np.float32), "mono"),
        (np.where(np.arange(16000) == 7, np.nan, VOICE[:16000]), "not numbers"),
        (np.where(np.arange(16000) == 7, np.inf, VOICE[:16000]), "not numbers"),
        (VOICE[:16000] * np.float32(1e30), "far outside"),
    ],
)
def test_bad_audio_is_refused_and_the_next_is_not_harmed(
    encoder: Encoder, samples: Samples, message: str
) -> None:
    before = encoder.embed(VOICE[:16000])
    with pytest.raises(AudioError, match=message) as caught:
        encoder.embed(samples)
    assert caught.value.hint
    assert np.array_equal(encoder.embed(VOICE[:16000]), before)


def test_a_stream_refuses_bad_audio_too(encoder: Encoder) -> None:
    with pytest.raises(AudioError, match="too short"):
        encoder.open_stream().embed(window(0, 1600))


def test_the_shortest_audio_and_digital_silence_have_embeddings(encoder: Encoder) -> None:
    for samples in (VOICE[: int(encoder.info.min_window_s * 16000)], np.zeros(16000, np.float32)):
        assert np.isfinite(encoder.embed(samples)).all()


def test_read_only_memory_will_do_and_is_not_kept(encoder: Encoder) -> None:
    """A ring buffer hands out views that it overwrites later."""
    samples = VOICE[:16000].copy()
    samples.setflags(write=False)
    before = encoder.embed(samples)
    samples.setflags(write=True)
    samples[:] = 0.0
    assert np.array_equal(before, encoder.embed(VOICE[:16000]))


def test_a_network_without_biases_is_taken() -> None:
    """Behind the subtraction of the mean it makes zeros, or rounding, of anything constant."""
    matrix = torch.randn(8, 80, generator=torch.Generator().manual_seed(0))
    largest = []

    def network(features: torch.Tensor) -> torch.Tensor:
        largest.append(float(features.abs().max()))
        return matrix @ features.abs().mean(1)

    info = EncoderInfo(
        encoder_id="0" * 16, name="plain", embedding_dim=8, num_parameters=640, min_window_s=0.5
    )
    encoder = TorchEncoder(info, KaldiFbankConfig().build(), network, torch.device("cpu"))
    assert len(largest) == 1  # it was tried
    assert largest[0] > 1.0
    assert np.linalg.norm(encoder.embed(VOICE[:16000])) == pytest.approx(1.0, abs=1e-6)


def test_a_device_that_is_not_there_is_an_error_with_a_way_out() -> None:
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(EncoderError, match=f"encoder.device is '{absent}'") as caught:
        find_device(absent)
    assert "'auto' or 'cpu'" in caught.value.hint


def test_auto_is_cuda_where_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert find_device("auto").type == expected


def test_the_number_of_threads_is_a_setting(encoder: Encoder) -> None:
    before = encoder.embed(VOICE[:48000])
    try:
        two = load_encoder("default", device="cpu", num_threads=2, runtime="torch")
        assert torch.get_num_threads() == 2
        np.testing.assert_allclose(two.embed(VOICE[:48000]), before, atol=1e-6)
    finally:
        torch.set_num_threads(1)
