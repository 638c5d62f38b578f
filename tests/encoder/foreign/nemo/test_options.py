"""Options of ``.nemo`` archives that would change embeddings are refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from tests.encoder.nemo_files import changed, conv_config, members, write_archive
from voiceguard.encoder.foreign.nemo import archive as nemo
from voiceguard.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def archive(tmp_path: Path, config: dict[str, Any]) -> Path:
    """With weights that are never looked at."""
    return write_archive(tmp_path / "model.nemo", members(config, {"a": torch.ones(1)}))


JASPER = ("encoder", "jasper", 1)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("preprocessor", "sample_rate"), 8000, r"preprocessor\.sample_rate is 8000"),
        (("preprocessor", "window_stride"), 0.0125, r"preprocessor\.window_stride is 200 samples"),
        (("preprocessor", "window_size"), 0, r"preprocessor\.window_size must be above 0"),
        (("preprocessor", "window_size"), 0.05, "windows no longer than transforms"),
        (("preprocessor", "n_window_size"), 320, r"preprocessor\.window_size is 0\.025"),
        (("preprocessor", "window"), "kaiser", "window must be one of"),
        (("preprocessor", "normalize"), "all_features", r"preprocessor\.normalize"),
        (("preprocessor", "normalize"), None, r"preprocessor\.normalize is None"),
        (("preprocessor", "exact_pad"), True, r"preprocessor\.exact_pad"),
        (("preprocessor", "mag_power"), 1.0, r"preprocessor\.mag_power"),
        (("preprocessor", "mel_norm"), None, r"preprocessor\.mel_norm"),
        (("preprocessor", "log"), False, r"preprocessor\.log "),
        (("preprocessor", "log_zero_guard_type"), "clamp", r"preprocessor\.log_zero_guard_type"),
        (("preprocessor", "log_zero_guard_value"), "tiny", r"log_zero_guard_value.*number"),
        (("preprocessor", "frame_splicing"), 3, r"preprocessor\.frame_splicing"),
        (("preprocessor", "pad_to"), "max", r"preprocessor\.pad_to"),
        (("preprocessor", "pad_value"), -1.0, r"preprocessor\.pad_value"),
        (("preprocessor", "use_torchaudio"), True, r"preprocessor\.use_torchaudio"),
        (("preprocessor", "mel_warp"), 1, r"preprocessor\.mel_warp is an option that voiceguard"),
        (("preprocessor", "features"), 13, r"encoder\.feat_in is 12, preprocessor\.features 13"),
        (("preprocessor", "features"), 10**9, "features must be a whole number"),
        (("encoder", "activation"), "tanh", "activation must be one of"),
        (("encoder", "normalization_mode"), "layer", r"encoder\.normalization_mode"),
        (("encoder", "frame_splicing"), 2, r"encoder\.frame_splicing"),
        (("encoder", "quantize"), True, r"encoder\.quantize"),
        (("encoder", "residual_mode"), "max", r"jasper\[0\]\.residual_mode is 'max'"),
        (("encoder", "adapters"), {}, r"encoder\.adapters"),
        (("encoder", "jasper"), {}, r"encoder\.jasper must be a list"),
        (("encoder", "jasper"), [], "1 to 100 blocks"),
        ((*JASPER,), 5, r"no section encoder\.jasper\[1\]"),
        ((*JASPER, "groups"), 2, r"encoder\.jasper\[1\]\.groups is 2"),
        ((*JASPER, "heads"), 4, r"encoder\.jasper\[1\]\.heads"),
        ((*JASPER, "residual_dense"), True, r"encoder\.jasper\[1\]\.residual_dense"),
        ((*JASPER, "future_context"), 2, r"encoder\.jasper\[1\]\.future_context"),
        ((*JASPER, "kernel"), [7, 9], r"encoder\.jasper\[1\]\.kernel has more than one size"),
        ((*JASPER, "repeat"), "${model.repeat}", r"encoder\.jasper\[1\]\.repeat must be a whole"),
        ((*JASPER, "repeat"), 1000, "repeat must be at most 100"),
        ((*JASPER, "stride"), [2], "its residual branch by 1"),
        ((*JASPER, "separable"), "yes", r"encoder\.jasper\[1\]\.separable must be true or false"),
        ((*JASPER, "shuffle"), True, r"encoder\.jasper\[1\]\.shuffle"),
        (("decoder", "pool_mode"), "tap", "pooling must be one of attention, xvector, not 'tap'"),
        (("decoder", "emb_sizes"), "512,512", r"decoder\.emb_sizes"),
        (("decoder", "emb_sizes"), [], r"decoder\.emb_sizes"),
        (("decoder", "feat_in"), 25, "takes 25 channels"),
        (("decoder", "margin"), 25, r"decoder\.margin"),
    ],
)
def test_options_that_would_change_embeddings_are_refused_by_name(
    tmp_path: Path, path: tuple[str | int, ...], value: object, message: str
) -> None:
    config = changed(conv_config(), *path, value=value)
    with pytest.raises(EncoderError, match=message) as caught:
        nemo.read(archive(tmp_path, config))
    assert "no speaker model that voiceguard computes" in str(caught.value)
    assert "TitaNet" in caught.value.hint


@pytest.mark.parametrize(
    ("section", "target"),
    [
        ("decoder", "nemo.collections.asr.modules.ConvASRDecoder"),
        ("encoder", "nemo.collections.asr.modules.ConformerEncoder"),
        ("encoder", "os.system"),
        ("preprocessor", "nemo.collections.asr.modules.AudioToMFCCPreprocessor"),
    ],
)
def test_another_architecture_is_named(tmp_path: Path, section: str, target: str) -> None:
    config = changed(conv_config(), section, "_target_", value=target)
    with pytest.raises(EncoderError, match=f"{section}._target_ is '{target}'"):
        nemo.read(archive(tmp_path, config))


@pytest.mark.parametrize("section", ["preprocessor", "encoder", "decoder"])
def test_a_missing_section_is_named(tmp_path: Path, section: str) -> None:
    config = {name: value for name, value in conv_config().items() if name != section}
    with pytest.raises(EncoderError, match=f"no section {section}"):
        nemo.read(archive(tmp_path, config))
