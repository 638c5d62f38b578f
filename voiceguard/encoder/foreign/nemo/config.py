"""What NeMo's ``model_config.yaml`` says about features and network, read as plain data.

Whatever would change an embedding is either followed or refused by name; what concerns the
training only (data, augmentation, dropout, dither, loss) is passed over.

Source: the parameters of ``AudioToMelSpectrogramPreprocessor``, ``ConvASREncoder``,
``ECAPAEncoder`` and ``SpeakerDecoder`` in nemo-toolkit 3.0.0, with its defaults.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from voiceguard.encoder.foreign.safe.options import Options
from voiceguard.encoder.frontends.nemo import NemoMelConfig
from voiceguard.encoder.networks.nemo_conv import JasperBlockConfig, NemoConvConfig
from voiceguard.encoder.networks.nemo_decoder import SpeakerDecoderConfig
from voiceguard.encoder.networks.nemo_ecapa import NemoEcapaConfig
from voiceguard.types import FRAME_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODULES = "nemo.collections.asr.modules."
_PREPROCESSOR = "AudioToMelSpectrogramPreprocessor"
_ENCODERS = ("ConvASREncoder", "ECAPAEncoder")
_DECODER = "SpeakerDecoder"


def read_config(
    values: Mapping[str, Any],
) -> tuple[NemoConvConfig | NemoEcapaConfig, NemoMelConfig]:
    """The network and the features of a speaker model.

    Raises:
        ValueError: It is another kind of model, or has an option that voiceguard does not follow;
            the message names it.
    """
    decoder = _target(values, "decoder", _DECODER)
    encoder = _target(values, "encoder", *_ENCODERS)
    preprocessor = _target(values, "preprocessor", _PREPROCESSOR)
    pad_to = preprocessor.whole("pad_to", 16, least=0)
    features = _features(preprocessor)
    num_bands = encoder.whole("feat_in")
    if num_bands != features.num_bands:
        raise ValueError(
            f"encoder.feat_in is {num_bands}, preprocessor.features {features.num_bands}"
        )
    build = _conv if encoder.target == "ConvASREncoder" else _ecapa
    return build(encoder, num_bands, pad_to, _decoder(decoder)), features


def _target(values: Mapping[str, Any], section: str, *known: str) -> Options:
    """A part of the model whose class is one of those known."""
    options = Options(section, values.get(section))
    target = options.text("_target_")
    options.target = target.rpartition(".")[2]
    if not target.startswith(_MODULES) or options.target not in known:
        raise ValueError(
            f"{section}._target_ is {target!r}; voiceguard computes {' and '.join(known)}, the "
            "parts of NeMo's speaker models"
        )
    return options


def _features(options: Options) -> NemoMelConfig:
    options.only("sample_rate", SAMPLE_RATE_HZ)
    stride_samples = _samples(options, "window_stride", 0.01)
    if stride_samples != FRAME_SAMPLES:
        raise ValueError(
            f"preprocessor.window_stride is {stride_samples} samples; voiceguard computes a frame "
            f"every {FRAME_SAMPLES}"
        )
    window_samples = _samples(options, "window_size", 0.02)
    fft_samples = options.whole("n_fft", 2 ** math.ceil(math.log2(max(window_samples, 1))))
    for name, value in (
        *(("normalize", "per_feature"), ("log", True), ("log_zero_guard_type", "add")),
        *(("mag_power", 2.0), ("mel_norm", "slaney"), ("pad_value", 0), ("frame_splicing", 1)),
        *(("exact_pad", False), ("use_grads", False), ("use_torchaudio", False)),
    ):
        options.only(name, value)
    options.ignore("dither", "max_duration", "rng", "nb_augmentation_prob", "nb_max_freq")
    options.ignore("stft_conv", "stft_exact_pad")  # NeMo ignores them, too
    features = NemoMelConfig(
        num_bands=options.whole("features", 64),
        window=options.text("window", "hann"),
        window_samples=window_samples,
        fft_samples=fft_samples,
        pre_emphasis=options.number("preemph", 0.97, null=0.0),
        min_hz=options.number("lowfreq", 0.0),
        max_hz=options.number("highfreq", SAMPLE_RATE_HZ / 2),
        floor=options.number("log_zero_guard_value", 2.0**-24),
    )
    options.finish()
    return features


def _samples(options: Options, name: str, default_s: float) -> int:
    """A duration, as ``NAME`` in seconds or ``n_NAME`` in samples."""
    if (samples := options.whole(f"n_{name}", 0, least=0)) > 0:
        options.only(name, None)
        return samples
    duration_s = options.number(name, default_s)
    if not 0 < duration_s <= 1:
        raise ValueError(f"preprocessor.{name} must be above 0 and at most 1 s, not {duration_s}")
    return int(duration_s * SAMPLE_RATE_HZ)


def _decoder(options: Options) -> SpeakerDecoderConfig:
    options.ignore("num_classes", "angular", "init_mode")
    decoder = SpeakerDecoderConfig(
        num_in=options.whole("feat_in"),
        pooling=options.text("pool_mode", "xvector").lower(),
        attention_channels=options.whole("attention_channels", 128),
        embedding_sizes=options.wholes("emb_sizes", (256,)),
    )
    options.finish()
    return decoder


def _conv(
    options: Options, num_bands: int, pad_to: int, decoder: SpeakerDecoderConfig
) -> NemoConvConfig:
    for name, value in (
        ("normalization_mode", "batch"),
        ("frame_splicing", 1),
        ("quantize", False),
    ):
        options.only(name, value)
    options.ignore("norm_groups", "init_mode")
    residual_mode = options.text("residual_mode", "add")
    blocks = []
    for block in options.sections("jasper"):
        # NeMo lets a block's mode hold for those after it.
        residual_mode = block.text("residual_mode", residual_mode)
        blocks.append(_block(block, residual_mode))
    config = NemoConvConfig(
        num_bands=num_bands,
        blocks=tuple(blocks),
        activation=options.text("activation"),
        is_masked=options.flag("conv_mask", default=True),
        pad_frames_to=pad_to,
        decoder=decoder,
    )
    options.finish()
    return config


def _block(options: Options, residual_mode: str) -> JasperBlockConfig:
    if residual_mode not in {"add", "stride_add"}:
        raise ValueError(
            f"{options.name}.residual_mode is {residual_mode!r}; voiceguard computes 'add' and "
            "'stride_add'"
        )
    for name, value in (
        *(("groups", 1), ("heads", -1), ("residual_dense", False), ("future_context", -1)),
        ("normalization_mode", "batch"),
    ):
        options.only(name, value)
    # Outside of training NeMo's squeeze and excitation always sees everything.
    options.ignore("dropout", "se_context_size", "se_interpolation_mode")
    factor = options.number("kernel_size_factor", 1.0)
    kernel_size = max(int(_single(options, "kernel") * min(factor, 1000.0)), 1)
    se_reduction = options.whole("se_reduction_ratio", 8)
    block = JasperBlockConfig(
        filters=options.whole("filters"),
        repeat=options.whole("repeat"),
        kernel_size=kernel_size + 1 - kernel_size % 2,  # even sizes are rounded up
        stride=_single(options, "stride"),
        dilation=_single(options, "dilation"),
        is_separable=options.flag("separable", default=False),
        is_residual=options.flag("residual"),
        has_strided_residual=residual_mode == "stride_add",
        has_stride_last=options.flag("stride_last", default=False),
        se_reduction=se_reduction if options.flag("se", default=False) else 0,
    )
    options.finish()
    return block


def _single(options: Options, name: str) -> int:
    """The size of one dimension: a number, or a list of one."""
    first, *others = options.wholes(name)
    if others:
        raise ValueError(f"{options.name}.{name} has more than one size: {[first, *others]}")
    return first


def _ecapa(
    options: Options, num_bands: int, pad_to: int, decoder: SpeakerDecoderConfig
) -> NemoEcapaConfig:
    options.ignore("init_mode")
    config = NemoEcapaConfig(
        num_bands=num_bands,
        channels=options.wholes("filters"),
        kernel_sizes=options.wholes("kernel_sizes"),
        dilations=options.wholes("dilations"),
        num_groups=options.whole("scale", 8),
        pad_frames_to=pad_to,
        decoder=decoder,
    )
    options.finish()
    return config
