"""What ``voiceguard enroll`` says of takes as they come, and of what has become of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from voiceguard.cli.output import stderr, stdout
from voiceguard.cli.people.prediction import prediction_plain, show_prediction
from voiceguard.decisions.wire import iso_utc, rounded
from voiceguard.enrollment import Quality, advise, describe, latest_takes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voiceguard.enrollment import Enrolled, TakeReport
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.types import Voiceprint


def tell_take(what: str, report: TakeReport) -> None:
    """A line about one take, as soon as it is judged."""
    mark = "[bold green]ok[/]" if report.is_usable else "[bold red]no[/]"
    stderr.print(f"{mark} {escape(what)}: {escape(describe(report))}", soft_wrap=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An enrollment that is stored."""

    enrolled: Enrolled
    usable_speech_s: float
    policy: PolicyConfig
    """What an accept asks for, beside all who are enrolled now."""
    is_calibrated: bool

    def show(self) -> None:
        """A word, what would help, what it is made of, what is foretold."""
        _appraise(self.enrolled)
        _congratulate(self.enrolled, self.usable_speech_s)
        show_prediction(
            self.enrolled.prediction,
            self.enrolled.voiceprint.display_name,
            self.policy,
            num_takes=len(latest_takes(self.enrolled.voiceprint)),
            is_calibrated=self.is_calibrated,
        )

    def tell_next(self, source: str | None) -> None:
        """What to try."""
        _next(self.enrolled, source)

    def payload(self, paths: Sequence[Path]) -> dict[str, Any]:
        """For ``--json``."""
        enrolled, policy = self.enrolled, self.policy
        voiceprint = enrolled.voiceprint
        names: list[str | None] = [str(path) for path in paths]
        names = names or [None] * len(enrolled.reports)
        return {
            "speaker": voiceprint.speaker,
            "display_name": voiceprint.display_name,
            "encoder_id": voiceprint.encoder_id,
            "consent_at": iso_utc(voiceprint.consent_at),
            "num_templates": len(voiceprint.templates),
            "takes": [
                {
                    "file": name,
                    "usable": report.is_usable,
                    "problems": list(report.problems),
                    "net_speech_s": rounded(report.net_speech_s, 2),
                    "snr_db": rounded(report.snr_db, 1),
                    "clipped_fraction": rounded(report.clipped_fraction, 5),
                    "left_out_s": rounded(report.left_out_s, 2),
                    "agreement": rounded(report.agreement, 3),
                }
                for name, report in zip(names, enrolled.reports, strict=True)
            ],
            "quality": str(enrolled.appraisal.quality),
            "advice": enrolled.appraisal.advice and str(enrolled.appraisal.advice),
            "audio_kept_s": None if enrolled.audio is None else rounded(enrolled.audio.seconds, 2),
            "prediction": prediction_plain(enrolled.prediction, policy),
        }


def _congratulate(enrolled: Enrolled, usable_s: float) -> None:
    who, templates = _named(enrolled.voiceprint), enrolled.voiceprint.templates
    usable = [report for report in enrolled.reports if report.is_usable]
    agreements = [report.agreement for report in usable if report.agreement is not None]
    alike = f", alike by {min(agreements):.2f} (cosine)" if agreements else ""
    stdout.print(
        f"[bold green]enrolled[/] {who}: {len(usable)} take(s), {usable_s:.1f} s of "
        f"speech{alike}; {len(templates)} in the voiceprint",
        soft_wrap=True,
    )


_STYLES = {Quality.GOOD: "bold green", Quality.FAIR: "bold yellow", Quality.WEAK: "bold red"}


def _appraise(enrolled: Enrolled) -> None:
    quality = enrolled.appraisal.quality
    advice = advise(enrolled.appraisal, enrolled.voiceprint.speaker)
    said = f": {advice}" if advice else ""
    stdout.print(f"[{_STYLES[quality]}]{quality}[/]{said}", soft_wrap=True)


def _next(enrolled: Enrolled, source: str | None) -> None:
    stdout.print(
        f"[dim]next: `voiceguard verify {enrolled.voiceprint.speaker} FILE`, or "
        f"`voiceguard run --source {source or 'device'}` (one that runs already has noticed)[/]",
        soft_wrap=True,
    )
    if enrolled.audio is not None:
        seconds = enrolled.audio.seconds
        stdout.print(f"[dim]{seconds:.1f} s of audio are kept beside it, encrypted[/]")


def _named(voiceprint: Voiceprint) -> str:
    """The name, and the id that commands and topics use where it is another."""
    speaker, name = voiceprint.speaker, voiceprint.display_name
    return speaker if name == speaker else f"{escape(name)} [dim](as {speaker})[/]"
