"""What final decisions ask of everybody who is enrolled: as calibrated, by marks, by rules.

Blocking. In: the store, the calibration in force, the settings. Out: a row per speaker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceguard.encoder.library import stated_encoder_id
from voiceguard.marks.store import MarkStore
from voiceguard.paths import state_dir
from voiceguard.people.rules import Rules, allowance_by
from voiceguard.pipeline.judge import policy_at
from voiceguard.scoring.adaptation import Standing, in_force
from voiceguard.scoring.policy import final_threshold
from voiceguard.service.arming import PolicyChoice
from voiceguard.service.kit import installed_in, load_scoring, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voiceguard.scoring.adaptation import Adaptation
    from voiceguard.scoring.calibration import Calibration
    from voiceguard.scoring.policy import PolicyConfig
    from voiceguard.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one kind of final decision asks of a speaker."""

    calibrated_llr: float
    """Without marks."""
    accept_llr: float
    standing: Standing
    rule: str | None = None
    """The rule with a rate of its own that it goes by; None: [policy] alone."""
    lock: str | None = None
    """Of ``unlock.actions``; None: any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is asked of one speaker, and what marks have to do with it."""

    speaker: str
    name: str
    num_theirs: int
    """Marks that count."""
    num_others: int
    num_void: int
    """Of an earlier voiceprint, encoder or calibration."""
    refused: str | None
    """Why the marks can't be used; None: they can."""
    asked: Asked | None
    """By [policy]; None: nothing is calibrated."""
    by_rules: tuple[Asked, ...]
    """By rules for people that have a rate of their own, in the settings' order."""


def show(settings: Settings) -> list[Shown]:
    """Everybody whose voiceprint can be used, by name.

    Raises:
        VoiceguardError: Voiceprints, cohort or calibration can't be read.
    """
    store = open_store(settings)
    encoder_id = stated_encoder_id(settings.encoder.model, installed_in(settings))
    voiceprints = store.load_all(encoder_id=encoder_id).voiceprints
    _, calibration = load_scoring(settings, encoder_id) if encoder_id else (None, None)
    marks, refused = MarkStore(store).load_all(each.speaker for each in voiceprints)
    counting = in_force(marks, voiceprints, calibration.calibration_id if calibration else None)
    bar = None if calibration is None else _Bar(settings, calibration, len(voiceprints))
    shown = []
    for each in voiceprints:
        adaptation = counting.get(each.speaker)
        count = adaptation.marks if adaptation else ()
        shown.append(
            Shown(
                speaker=each.speaker,
                name=each.display_name,
                num_theirs=sum(one.is_theirs for one in count),
                num_others=sum(not one.is_theirs for one in count),
                num_void=len(marks.get(each.speaker, ())) - len(count),
                refused=refused.get(each.speaker),
                asked=bar.by_policy(adaptation) if bar else None,
                by_rules=tuple(bar.by_rules(each.speaker, adaptation)) if bar else (),
            )
        )
    return shown


class _Bar:
    """Thresholds of one calibration, for so many voiceprints."""

    def __init__(self, settings: Settings, calibration: Calibration, num_voiceprints: int) -> None:
        self._rules = Rules(settings.people)
        self._locks = settings.unlock.actions
        self._policy = PolicyChoice(state_dir(settings.state_dir), settings.policy).policy
        self._calibration = calibration
        self._num_voiceprints = num_voiceprints

    def by_policy(self, adaptation: Adaptation | None) -> Asked:
        return self._asked(self._policy, adaptation)

    def by_rules(self, speaker: str, adaptation: Adaptation | None) -> Iterator[Asked]:
        """Locks have a rate of their own besides, and marks make none easier to open."""
        raising = adaptation.raising_only() if adaptation else None
        for name, rule in self._rules.with_rates(speaker):
            if not rule.actions or set(rule.actions) - set(self._locks):
                yield self._asked(self._policy, adaptation, name)
            for lock in rule.actions:
                if lock in self._locks:
                    policy = policy_at(
                        self._policy,
                        self._locks[lock].p_fa,
                        self._num_voiceprints,
                        self._calibration,
                    )
                    yield self._asked(policy, raising, name, lock)

    def _asked(
        self,
        policy: PolicyConfig,
        adaptation: Adaptation | None,
        rule: str | None = None,
        lock: str | None = None,
    ) -> Asked:
        num_voiceprints, calibration = self._num_voiceprints, self._calibration
        if rule is not None:
            allowance = allowance_by(rule, self._rules.config.rules[rule])
            policy = policy.stricter(allowance, num_voiceprints, calibration)
        calibrated_llr, moved = final_threshold(policy, num_voiceprints, calibration, adaptation)
        return Asked(
            calibrated_llr=calibrated_llr,
            accept_llr=moved.llr,
            standing=moved.standing,
            rule=rule,
            lock=lock,
        )
