"""A cohort from recordings: strangers' mean embeddings, without their names.

In: a corpus. Out: a ``Cohort`` for adaptive s-norm, shuffled, so that neither order nor file says
who is who.

The shipped one is made of speakers that the encoder was trained on. That they are overfitted was
feared; ``python -m tests.benchmarks.cohort_choice`` measures it: strangers whom the encoder never
saw add nothing when they come from another corpus; from the same rooms and telephones as the trials
they take 4 % off the EER and 16 % off minDCF. So it is the channel that counts. The speakers of our
test corpora would flatter the evaluation and help nobody else; besides, the licences of those
recordings (GPL, CC BY-SA) would bind data derived from them, and their speakers were not asked for
embeddings in a product. Whoever resembles nobody in it is let in too easily: of 250 people whose
English has one accent (speechocean762), scored against each other with CAM++, one trial in a
hundred exceeds 10.6 with a cohort of read English and single words, 3.1 once others of them are in
it; of strangers in eval 4.6. So the shipped one has all that is free to use, not only what is read
well. Strangers recorded in your own room help: ``voiceguard cohort DIR`` takes
them, and ``calibrate`` must follow.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from voiceguard.errors import UsageError
from voiceguard.lab.corpora.clips import Clip, join, seeded, speech_rms
from voiceguard.lab.corpora.conditions import Clean, Telephone
from voiceguard.lab.evaluation.utterances import utterances
from voiceguard.lab.fitting.projection import within_speaker_projection
from voiceguard.lab.progress import untracked
from voiceguard.scoring.cosine import renormalised_mean
from voiceguard.scoring.snorm import MIN_COHORT_SPEAKERS, Cohort, CohortSource
from voiceguard.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voiceguard.lab.corpora.clips import Speech
    from voiceguard.lab.corpora.conditions import Condition
    from voiceguard.lab.corpora.corpus import Corpus, Recording, Skip
    from voiceguard.lab.progress import Track
    from voiceguard.service.kit import Kit
    from voiceguard.types import Embedding

ENOUGH_SPEECH_S = 12.0
"""Of one speaker: three windows' worth; more would move the mean by little."""
TOP_K = 300
"""Measured on eval with 681 speakers, each twice, minDCF at 3 s clean: `ecapa-c320` 0.43 at 200,
0.37 at 400; CAM++ 0.27 at 50, 0.30 at 200, 0.29 at 400, where it accepts less at p_fa 0.01."""
TELEPHONED = "over a telephone"
TAUGHT_SPEAKERS = 300
"""About so many teach the projection; 681 teach none that measures better."""
MIN_TAUGHT_SPEAKERS = 50
"""Fewer show the spread of too few channels: there is no projection then."""


def make_cohort(
    kit: Kit,
    corpus: Corpus,
    *,
    min_speech_s: float = 3.0,
    top_k: int = TOP_K,
    ways: Sequence[Condition] = (),
    min_taught: int = MIN_TAUGHT_SPEAKERS,
    seed: int = 0,
    track: Track = untracked,
) -> tuple[Cohort, tuple[Skip, ...]]:
    """Two embeddings per speaker: the renormalised mean over stretches of a window's length.

    One as recorded, one as over a telephone: whoever calls, or has a narrow microphone, is
    compared with strangers who sound like that. Measured on eval (top 400; minDCF of `ecapa-c320`
    and CAM++): 3 s clean 0.48 to 0.37 and 0.39 to 0.29, 1 s 0.69 to 0.54 and 0.63 to 0.43. EERs at
    3 s rise, 4.5 to 5.4 and 3.9 to 4.4 %, but strict thresholds are what decides.

    Some of the speakers are heard in other ways as well, and teach the projection what one voice
    differs by from channel to channel.

    Args:
        kit: Encoder, gate and windows.
        corpus: Whose speakers are to be strangers to everybody who will enroll.
        min_speech_s: Net speech below which a speaker is left out.
        top_k: How many cohort speakers each side of a trial is compared with; at most all.
        ways: In which speech may arrive, beside plain and by telephone; none: no projection.
        min_taught: Heard in all ways fewer speakers teach none.
        seed: Of the order.
        track: Shows progress.

    Returns:
        The cohort, and files that could not be read.

    Raises:
        UsageError: Fewer than MIN_COHORT_SPEAKERS speakers with enough speech.
    """
    skips: list[Skip] = list(corpus.skips)
    embeddings: list[Embedding] = []
    taught: list[NDArray[np.float32]] = []
    sources: Counter[tuple[str, str]] = Counter()
    speakers = corpus.by_speaker()
    for speaker in track(sorted(speakers), "embedding"):
        speech = _speech_of(kit, speakers[speaker], seed, skips)
        if speech is not None and speech.net_s >= min_speech_s:
            about = speakers[speaker][0]
            is_teacher = seeded(seed, speaker).random() * len(speakers) < TAUGHT_SPEAKERS
            takes = _embeddings(kit, speaker, speech, seed, ways if is_teacher else ())
            embeddings += [*takes[:2]]
            sources[about.corpus, about.licence] += 1
            sources[f"{about.corpus}, {TELEPHONED}", about.licence] += 1
            if ways and is_teacher:
                taught.append(takes)
    if len(embeddings) < 2 * MIN_COHORT_SPEAKERS:
        raise UsageError(
            f"{len(embeddings) // 2} of {len(speakers)} speakers have {min_speech_s:g} s of "
            f"speech; a cohort needs {MIN_COHORT_SPEAKERS}",
            hint="add speakers, or lower --min-seconds",
        )
    order = seeded(seed, len(embeddings)).permutation(len(embeddings))
    cohort = Cohort(
        embeddings=np.stack(embeddings)[order],
        encoder_id=kit.encoder.info.encoder_id,
        top_k=min(top_k, len(embeddings)),
        sources=tuple(
            CohortSource(corpus=name, licence=licence, num_speakers=count)
            for (name, licence), count in sorted(sources.items())
        ),
        projection=within_speaker_projection(np.stack(taught))
        if len(taught) >= min_taught
        else None,
    )
    return cohort, tuple(skips)


def _speech_of(
    kit: Kit, recordings: Sequence[Recording], seed: int, skips: list[Skip]
) -> Speech | None:
    """Of one speaker, up to ENOUGH_SPEECH_S; None where there is none."""
    speeches: list[Speech] = []
    for each in utterances(kit, recordings, seed, skips):
        speeches.append(each.speech)
        if sum(speech.net_s for speech in speeches) >= ENOUGH_SPEECH_S:
            break
    return join(speeches) if speeches else None


def _embeddings(
    kit: Kit, speaker: str, speech: Speech, seed: int, ways: Sequence[Condition]
) -> NDArray[np.float32]:
    """``(2 + num_ways, embedding_dim)``: plain, by telephone, and in every other way."""
    clip = Clip(speech.samples, 0.0, len(speech.samples) / SAMPLE_RATE_HZ)
    rms = speech_rms(speech)
    every: tuple[Condition, ...] = (Clean(), Telephone(), *ways)
    heard = (way.hear(clip, rms, seeded(seed, speaker, way.draws)) for way in every)
    return np.stack([_embedding(kit, each) for each in heard])


def _embedding(kit: Kit, clip: Clip) -> Embedding:
    num_pieces = max(1, round(len(clip.samples) / kit.make_ear().max_window_samples))
    pieces = np.array_split(clip.samples, num_pieces)
    return renormalised_mean(np.stack([kit.encoder.embed(piece) for piece in pieces]))
