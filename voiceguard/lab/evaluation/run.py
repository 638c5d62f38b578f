"""One evaluation, two readings: encoders alone, and the daemon's whole path.

In: a ``Request``. Out: ``Findings``. Each recording is decoded and gated once, and both readings
take it from there: encoders on the same trials whatever thresholds the daemon has, and the daemon
by its own enrollment, pipeline and judge. Blocking; nothing is printed here.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.corpus import Corpus
from voiceguard.lab.corpora.embedding_cache import RememberingEncoder
from voiceguard.lab.evaluation.daemon.evaluation import (
    Judged,
    change_cosine_of,
    choose,
    evaluate,
)
from voiceguard.lab.evaluation.daemon.experiment import Listener
from voiceguard.lab.evaluation.encoders.costs import measure_costs
from voiceguard.lab.evaluation.encoders.embeddings import Embedder
from voiceguard.lab.evaluation.encoders.results import conclude
from voiceguard.lab.evaluation.encoders.trial_list import embed_trial_list
from voiceguard.lab.evaluation.encoders.trials import all_pairs
from voiceguard.lab.evaluation.utterances import each_speaker
from voiceguard.lab.progress import untracked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from voiceguard.lab.corpora.corpus import Skip
    from voiceguard.lab.evaluation.daemon.evaluation import Choice, Evaluation
    from voiceguard.lab.evaluation.daemon.experiment import Experiment
    from voiceguard.lab.evaluation.encoders.embeddings import Embedded
    from voiceguard.lab.evaluation.encoders.results import EncoderEvaluation
    from voiceguard.lab.evaluation.encoders.trial_list import TrialList
    from voiceguard.lab.evaluation.plan import Plan
    from voiceguard.lab.progress import Track
    from voiceguard.protocols import Encoder
    from voiceguard.service.kit import Kit


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What shall be evaluated on what."""

    kits: Mapping[str, Kit]
    """By label, with encoders as loaded: one that remembers would answer too fast when it is timed.
    The first is compared with each of the others, and its decisions are looked at."""
    speech: Corpus | TrialList
    """Speakers that no encoder has learnt from; or listed trials, which give scores only."""
    plan: Plan
    with_decisions: bool = True
    """Whether to look at the daemon's path as well."""
    judged: Judged | None = None
    """By which calibration; None: by the one that fits the speech."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """What came of it."""

    encoders: EncoderEvaluation
    daemon: Evaluation | None
    """None: scores only."""

    @property
    def skips(self) -> tuple[Skip, ...]:
        """What took no part."""
        return self.daemon.experiment.skips if self.daemon else self.encoders.skips


def run(
    request: Request, *, today: date, cache: Path | None = None, track: Track = untracked
) -> Findings:
    """Evaluates.

    Args:
        request: What.
        today: For the provenance of calibrations that are fitted on the way.
        cache: Where embeddings are remembered; None: nowhere.
        track: Shows progress.

    Raises:
        UsageError: Fewer than two speakers could be enrolled, a length is too short for an encoder,
            or there is no calibration to judge by.
        AudioError: A file of listed trials is no audio.
    """
    kits, speech, plan = request.kits, request.speech, request.plan
    choice = _choice(request)
    if choice is not None and choice.judged is Judged.SHIPPED:
        plan = replace(plan, fitting=())
    costs = measure_costs({label: each.encoder for label, each in kits.items()})
    with ExitStack() as stack:
        encoders = _remembering(kits, cache, stack)
        first = next(iter(kits))
        kit = replace(kits[first], encoder=encoders[first])
        with_snr = any(each.calibration is not None for each in kits.values())
        embedder = Embedder(kit=kit, encoders=encoders, plan=plan, with_snr=with_snr)
        experiment = None
        if isinstance(speech, Corpus):
            embedded, experiment = _listen(embedder, speech, track, with_daemon=choice is not None)
            pairs = {cell: all_pairs(embedded, cell) for cell in embedded.tests}
        else:
            embedded, listed = embed_trial_list(embedder, speech, track=track)
            pairs = dict.fromkeys(embedded.tests, listed)
        of_encoders = conclude(
            kits,
            embedded,
            pairs,
            plan,
            costs=costs,
            knows_speakers=isinstance(speech, Corpus) or speech.knows_speakers,
            track=track,
        )
        of_daemon = None
        if isinstance(speech, Corpus) and experiment is not None and choice is not None:
            of_daemon = evaluate(
                kit,
                experiment,
                plan,
                corpora=speech.corpora,
                choice=choice,
                today=today,
                track=track,
            )
    return Findings(encoders=of_encoders, daemon=of_daemon)


def labelled(kits: Sequence[Kit]) -> dict[str, Kit]:
    """Kits by the names of their encoders.

    Raises:
        UsageError: Two have one name.
    """
    by_name = {kit.encoder.info.name: kit for kit in kits}
    if len(by_name) != len(kits):
        names = ", ".join(kit.encoder.info.name for kit in kits)
        raise UsageError(
            f"every encoder to compare needs a name of its own, not {names}",
            hint="give another encoder, or one of them another label",
        )
    return by_name


def _choice(request: Request) -> Choice | None:
    """What decides, known before hours of work; None: there will be no decisions."""
    if not isinstance(request.speech, Corpus):
        return None
    shortest_s = min(request.plan.lengths_s)
    for label, kit in request.kits.items():
        least_s = kit.encoder.info.min_window_s
        if least_s > shortest_s:
            raise UsageError(
                f"crops of {shortest_s:g} s are too short: encoder {label} needs at least "
                f"{least_s:g} s",
                hint="leave the shortest length out",
            )
    if not request.with_decisions:
        return None
    return choose(next(iter(request.kits.values())), request.speech, request.judged)


def _remembering(
    kits: Mapping[str, Kit], cache: Path | None, stack: ExitStack
) -> dict[str, Encoder]:
    """Encoders that embed nothing twice, where there is a directory to remember in."""
    if cache is None:
        return {label: kit.encoder for label, kit in kits.items()}
    return {
        label: stack.enter_context(RememberingEncoder(kit.encoder, cache))
        for label, kit in kits.items()
    }


def _listen(
    embedder: Embedder, corpus: Corpus, track: Track, *, with_daemon: bool
) -> tuple[Embedded, Experiment | None]:
    """Both readings of every recording, decoded and gated once."""
    kit, plan = embedder.kit, embedder.plan
    listener = Listener(kit=kit, plan=plan, change_cosine=change_cosine_of(kit))
    embedder.skips += corpus.skips
    listener.skips += corpus.skips
    for spoken in each_speaker(kit, corpus, seed=plan.seed, track=track, description="listening"):
        embedder.take(spoken)
        if with_daemon:
            listener.take(spoken)
    return embedder.finish(), listener.finish() if with_daemon else None
