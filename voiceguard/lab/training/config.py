"""What a training run is: every choice that changes its result, in one value.

A run is resumed only with the configuration that it was begun with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from voiceguard.lab.training.corruption.augment import AugmentConfig
from voiceguard.validation.ranges import Between, check_ranges
from voiceguard.validation.reading import plain

NO_TEACHER = "none"
DRAWN, ROUNDS = "drawn", "rounds"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """What else is chosen where an encoder is taught by itself (``--tune``)."""

    learns: tuple[str, ...] = ("norm", "head.", "projection.", "input_layer.", ".local.", ".mask")
    """Parts of the names of the tensors that learn; [""] is all of them."""
    raw_weight: float = 1.0
    """1 - cosine between the embeddings as they are."""
    apart: Annotated[float, Between(-1, 1)] = 0.6
    """Windows of more cosine than that are not told apart: they may be of one voice."""
    share: Annotated[float, Between(0, 1)] = 0.75
    """How far to go from the published weights to what was learnt."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.learns:
            raise ValueError("tuning.learns must name something")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingConfig:
    """Of drawn windows, what is beyond the speakers there are (see ``speech.beyond``)."""

    coloured_share: Annotated[float, Between(0, 1)] = 0.35
    """Whose spectral envelope varies as another window's does."""
    colour: tuple[float, float] = (0.3, 1.0)
    """How far it goes there."""
    bent_share: Annotated[float, Between(0, 1)] = 0.3
    """Whose formants are moved each by a factor of its own."""
    bend: Annotated[float, Between(0, 0.5)] = 0.24
    """Natural logarithm of the greatest factor."""
    mixed_share: Annotated[float, Between(0, 1)] = 0.1
    """To which another window is added."""
    mixed_db: tuple[float, float] = (-12.0, 0.0)
    """So loud, against the first one."""
    telephone_share: Annotated[float, Between(0, 1)] = 0.2
    """Of narrow band and coded, for the teacher as well."""
    alike_share: Annotated[float, Between(0, 1)] = 0.25
    """Of the crops: the teacher hears them as the student does, and not the window."""
    alike_mixed_share: Annotated[float, Between(0, 1)] = 0.3
    """Of those: two voices at once."""
    alike_joined_share: Annotated[float, Between(0, 1)] = 0.2
    """Of those: one voice after another."""
    corruption: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(
            p_clean=0.3, p_room=0.3, p_noise=0.4, p_band_limit=0.5, p_codec=0.35
        )
    )
    """Of those."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.alike_mixed_share + self.alike_joined_share > 1:
            raise ValueError("alike_mixed_share + alike_joined_share must not exceed 1")


NO_MATCHING = MatchingConfig(
    coloured_share=0.0, bent_share=0.0, mixed_share=0.0, telephone_share=0.0, alike_share=0.0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """The recipe. A part is switched off by its weight, share or number being 0."""

    channels: Annotated[int, Between(8, 8192)] = 320
    """C of the ECAPA-TDNN; the aggregation has three times as many."""
    num_steps: Annotated[int, Between(1)] = 12_000
    """Of the optimiser."""
    batch_s: Annotated[float, Between(1)] = 144.0
    """Seconds of audio per step: 96 crops of 1.5 s, fewer of longer ones."""
    crop_s: tuple[float, float] = (0.8, 4.0)
    """Shortest and longest crop; one length per step, short ones more often (log-uniform)."""
    learning_rate: float = 1.5e-3
    """Peak; a warm-up of ``warmup_share``, then half a cosine."""
    warmup_share: Annotated[float, Between(0, 1)] = 0.03
    weight_decay: float = 1e-4
    adam_betas: tuple[float, float] = (0.9, 0.999)
    """Of the gradients' moving averages: of themselves, of their squares."""
    max_gradient_norm: Annotated[float, Between(0, is_low_excluded=True)] = 5.0
    """Of the network's gradients, all together; a longer one is shortened to it."""
    voices: str = DRAWN
    """``drawn``: every window of a speaker's speech gets a voice of its own, which the teacher
    hears at once. ``rounds``: ``num_voices`` of everybody are made and heard before the first step;
    each is a class, which ``aam_weight`` needs."""
    num_voices: Annotated[int, Between(1)] = 8
    """Rounds: the own voice, and changed ones (see ``speech.voices``)."""
    window_s: float = 5.0
    """Drawn: what the teacher hears whole; crops are cut out of it."""
    own_share: Annotated[float, Between(0, 1)] = 0.2
    """Drawn: of the windows, how many keep the speaker's own voice."""
    changed_speed: tuple[float, float] = (0.76, 1.32)
    """Of the changed voices: pitch, formants and tempo together."""
    changed_formants: tuple[float, float] = (0.84, 1.19)
    """On top: the length of the vocal tract alone. (1, 1) switches it off."""
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    """Drawn: speech of nobody, and crops that the teacher hears as the student does."""
    max_speaker_s: float = 60.0
    """Of a speaker's speech; nobody drowns the others."""
    teacher: str = "campplus"
    """Encoder whose embeddings are matched: a name or path, or ``none``. CAM++, tuned by
    voiceguard, comes by `voiceguard models pull campplus`."""
    distillation_weight: float = 4.0
    """1 - cosine between a linear head's output (of an encoder that is tuned: its own embedding,
    centred) and the teacher's centred embedding."""
    similarity_weight: float = 2.0
    """Mean squared difference of the batch's cosine matrices."""
    contrast_weight: float = 1.0
    """Divergence from the teacher in which of many voices it is: see ``losses.contrast``; of an
    encoder that is tuned, ``students.campplus.told_apart``."""
    contrast_scale: float = 16.0
    contrast_voices: int = 2048
    """Drawn from all voices' targets, or the latest windows', besides those of the batch."""
    frames_weight: float = 2.0
    """Mean squared difference from the teacher's frames, see ``frames``. Only with voices that are
    drawn, and a teacher that has frames: CAM++."""
    aam_weight: float = 0.0
    """Additive-angular-margin softmax over the voices; for labels that are certain."""
    aam_margin: float = 0.2
    """Radians; ramped up over the first third."""
    aam_scale: float = 30.0
    sub_centers: Annotated[int, Between(1)] = 1
    inter_top_k: int = 0
    """How many of the nearest wrong classes get ``inter_top_k_margin`` as well."""
    inter_top_k_margin: float = 0.06
    spec_augment: Annotated[float, Between(0, 1)] = 0.3
    """Probability that a crop loses a band of mels and a stretch of frames."""
    large_margin_share: Annotated[float, Between(0, 1)] = 0.0
    """Last share of the steps: only crops of the greatest length, and margin 0.35."""
    average_decay: Annotated[float, Between(0, 1)] = 0.999
    """Of the weights' moving average, which is what is kept."""
    whitening: Annotated[float, Between(0, 1)] = 0.25
    """How far the last layer is turned so that what varies within a voice weighs less: 0 to 1."""
    heldout_share: Annotated[float, Between(0, 1)] = 0.06
    """Of the speakers, for the curve of errors; they are never trained on."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    tuning: TuningConfig | None = None
    """What is tuned is the teacher itself; None: another network learns from it."""
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        low, high = self.crop_s
        if not 0.3 <= low <= high <= 20:
            raise ValueError(f"crop_s must rise and lie between 0.3 and 20, not {self.crop_s}")
        if self.channels % 8:
            raise ValueError(f"channels must be a multiple of 8, not {self.channels}")
        if self.teacher == NO_TEACHER and not self.aam_weight:
            raise ValueError("without a teacher there is nothing to learn at aam_weight 0")
        if self.voices not in {DRAWN, ROUNDS}:
            raise ValueError(f"voices must be {DRAWN!r} or {ROUNDS!r}, not {self.voices!r}")
        if self.voices == DRAWN:
            self._check_drawn()
        if self.tuning is not None:
            self._check_tuned()

    def _check_drawn(self) -> None:
        if self.teacher == NO_TEACHER or self.aam_weight:
            raise ValueError(
                "a voice that is drawn has a teacher's target and no class: without a teacher, or "
                f"with aam_weight, set voices={ROUNDS}"
            )
        if not self.crop_s[1] <= self.window_s <= 20:
            raise ValueError(
                f"window_s must be between the longest of crop_s, {self.crop_s[1]:g}, and 20, not "
                f"{self.window_s:g}"
            )

    def _check_tuned(self) -> None:
        if self.voices != DRAWN:
            raise ValueError(f"an encoder is tuned by voices={DRAWN}, not {self.voices}")
        for name in ("similarity_weight", "whitening"):
            if value := getattr(self, name):
                raise ValueError(f"{name} must be 0 where an encoder is tuned, not {value:g}")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a model's card and to compare runs by."""
        return plain(self)


def tuning_of(encoder: str) -> TrainingConfig:
    """The recipe by which an encoder is tuned."""
    return TrainingConfig(
        num_steps=650,
        batch_s=1024.0,
        learning_rate=6e-4,
        warmup_share=0.09,
        weight_decay=0.0,
        adam_betas=(0.9, 0.98),
        max_gradient_norm=2.0,
        changed_speed=(0.8, 1.25),
        matching=NO_MATCHING,
        teacher=encoder,
        distillation_weight=1.0,
        similarity_weight=0.0,
        contrast_weight=0.1,
        contrast_scale=20.0,
        frames_weight=0.05,
        spec_augment=0.0,
        average_decay=0.998,
        whitening=0.0,
        augment=AugmentConfig(p_band_limit=0.4, p_codec=0.25),
        tuning=TuningConfig(),
    )
