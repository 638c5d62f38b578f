"""ECAPA2, by the documented interface: the published file is not here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.encoder.made_programs import (
    VOICE,
    Ecapa2Like,
    WaveformModule,
    bring,
    describe,
    save_script,
)
from voiceguard.encoder.running.torchscript import Ecapa2Encoder, TorchScriptEncoder
from voiceguard.errors import AudioError, EncoderError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def ecapa2(tmp_path_factory: pytest.TempPathFactory) -> Ecapa2Encoder:
    directory = tmp_path_factory.mktemp("ecapa2")
    program = save_script(directory / "ecapa2.pt", Ecapa2Like())
    loaded = bring(program, directory / "models", trust=True, device="cpu")
    assert isinstance(loaded, Ecapa2Encoder)
    return loaded


def test_the_waveform_goes_in_as_it_is(ecapa2: Ecapa2Encoder) -> None:
    expected = Ecapa2Like()(torch.from_numpy(VOICE).unsqueeze(0))[0].detach().numpy()
    found = ecapa2.raw(VOICE)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(found, ecapa2.features(VOICE, ["embedding"])["embedding"])


def test_optimised_execution_is_off_while_it_runs(
    ecapa2: Ecapa2Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would compile for seconds at every new length."""
    module, seen = ecapa2._module, []

    def watched(*arguments: object) -> object:
        seen.append(torch._C._get_graph_executor_optimize())
        return module(*arguments)

    monkeypatch.setattr(ecapa2, "_module", watched)
    ecapa2.raw(VOICE)
    ecapa2.features(VOICE, ["pool"])
    assert seen == [False, False]
    assert torch._C._get_graph_executor_optimize()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_half_precision_runs_on_cuda(tmp_path: Path, ecapa2: Ecapa2Encoder) -> None:
    program = save_script(tmp_path / "ecapa2.pt", Ecapa2Like())
    encoder = bring(program, tmp_path / "models", trust=True, device="cuda")
    assert {parameter.dtype for parameter in encoder._module.parameters()} == {torch.float16}
    np.testing.assert_allclose(encoder.embed(VOICE), ecapa2.embed(VOICE), atol=1e-2)
    assert encoder.features(VOICE, ["pool"])["pool"].dtype == np.float32


def test_features_come_by_label_whatever_the_order(ecapa2: Ecapa2Encoder) -> None:
    labels = ["embedding", "attention", "pool", "gfe_2", "gfe_1"]
    found = ecapa2.features(VOICE, labels)
    assert [(label, len(found[label])) for label in found] == [
        ("embedding", 192),
        ("attention", 3072),
        ("pool", 3072),
        ("gfe_2", 2048),
        ("gfe_1", 2048),
    ]
    np.testing.assert_allclose(found["gfe_2"], 2 * found["gfe_1"], rtol=1e-6)
    np.testing.assert_allclose(found["attention"] / 4, found["pool"] / 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["gfe_3"], "no features 'gfe_3'; it has gfe_1, gfe_2, pool, attention, embedding"),
        ([""], "no features ''"),
        (["pool", "pool"], "each label once"),
        ([], "each label once"),
    ],
)
def test_labels_that_it_has_not_are_refused(
    ecapa2: Ecapa2Encoder, labels: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ecapa2.features(VOICE, labels)


def test_features_of_bad_audio_are_refused(ecapa2: Ecapa2Encoder) -> None:
    with pytest.raises(AudioError, match="too short"):
        ecapa2.features(VOICE[:1000], ["pool"])
    with pytest.raises(AudioError, match="no features: its samples are far outside"):
        ecapa2.features(VOICE[:16_000] * np.float32(1e30), ["pool"])


def test_a_layer_of_another_size_is_told(tmp_path: Path) -> None:
    program = save_script(tmp_path / "ecapa2.pt", Ecapa2Like(pool_dim=1536))
    encoder = bring(program, tmp_path / "models", trust=True, device="cpu")
    with pytest.raises(EncoderError, match=r"gives \(1, 1536\) where .* \(1, 3072\)"):
        encoder.features(VOICE, ["pool"])


def test_other_programs_have_no_features(tmp_path: Path) -> None:
    program = save_script(tmp_path / "model.pt", WaveformModule())
    describe(program)
    encoder = bring(program, tmp_path / "models", trust=True)
    assert isinstance(encoder, TorchScriptEncoder)
    assert not isinstance(encoder, Ecapa2Encoder)
