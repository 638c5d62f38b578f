"""While something plays in the home, who is accepted must be surer: a television speaks too.

Event loop. In: the state of media players, from MQTT. Out: the judge to ask, its rate lowered while
something plays and for some seconds after: a segment may have begun under it. What is not known
does not raise the bar; a state stands for as long as nobody says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from voiceguard.clock import elapsed_s
from voiceguard.scoring.policy import P_FA_CEILING
from voiceguard.validation.parsing import parse_json_object
from voiceguard.validation.ranges import Between, SettingsTable, check_ranges

if TYPE_CHECKING:
    from voiceguard.clock import Clock
    from voiceguard.pipeline.judge import Judge

RAISED_BY = "television"
MAX_TOPICS = 32
_PLAYING = {"playing", "on", "true", "1", "buffering"}
_MAX_PAYLOAD_BYTES = 4096
_TOPIC = re.compile(r"(?:([a-z0-9_-]{1,32})=)?([^+#\x00]{1,256})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelevisionConfig(SettingsTable):
    """What plays in the home, the [television] table of voiceguard.toml."""

    topics: tuple[str, ...] = ()
    """MQTT topics with a media player's state, each ``[stream=]topic``; without a stream it counts
    for all. Playing: ``playing``, ``on``, ``true``, ``1``, ``buffering``, alone or as ``state`` in
    JSON; anything else is not."""
    p_fa: Annotated[float, Between(0, P_FA_CEILING, is_low_excluded=True)] = 0.001
    """In place of policy.p_fa while it plays, where that is higher."""
    after_s: Annotated[float, Between(0, 60)] = 5.0
    """How long it counts as playing after it has stopped."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if len(self.topics) > MAX_TOPICS:
            raise ValueError(f"topics must be at most {MAX_TOPICS}")
        for each in self.topics:
            if not _TOPIC.fullmatch(each):
                raise ValueError(
                    f"topics must be like 'home/tv/state' or 'kitchen=...', not {each!r}"
                )

    @property
    def streams_of(self) -> dict[str, frozenset[str]]:
        """The streams of each topic; empty: all of them."""
        found: dict[str, set[str]] = {}
        for each in self.topics:
            match = _TOPIC.fullmatch(each)
            assert match is not None
            found.setdefault(match[2], set()).add(match[1] or "")
        return {
            topic: frozenset(names - {""}) if "" not in names else frozenset()
            for topic, names in found.items()
        }


class Television:
    """What plays, and the judges that know of it.

    Args:
        config: The [television] table.
        clock: Time.
    """

    def __init__(self, config: TelevisionConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._streams = config.streams_of
        self._playing: set[str] = set()
        self._stopped_at_s: dict[str, float] = {}
        self._raised: tuple[Judge, Judge] | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """To listen to."""
        return tuple(self._streams)

    def take(self, topic: str, payload: bytes) -> None:
        """A media player's state, as somebody wrote it."""
        if topic not in self._streams:
            return
        if _is_playing(payload):
            self._playing.add(topic)
        elif topic in self._playing:
            self._playing.discard(topic)
            self._stopped_at_s[topic] = elapsed_s(self._clock)

    def plays(self, stream: str) -> bool:
        """Whether something that this stream hears plays, or has until just now."""
        now_s = elapsed_s(self._clock)
        for topic, streams in self._streams.items():
            if streams and stream not in streams:
                continue
            stopped_at_s = self._stopped_at_s.get(topic, float("-inf"))
            if topic in self._playing or now_s - stopped_at_s <= self._config.after_s:
                return True
        return False

    def judge(self, stream: str, judge: Judge) -> Judge:
        """The judge for a stream at this moment: as it is, or surer."""
        if not self.plays(stream):
            return judge
        if self._raised is None or self._raised[0] is not judge:
            self._raised = (judge, raised(judge, self._config.p_fa))
        return self._raised[1]


def raised(judge: Judge, p_fa: float) -> Judge:
    """A judge that accepts at that rate, where its own is not lower yet.

    Args:
        judge: As configured.
        p_fa: False accepts per final decision, all voiceprints together.
    """
    policy = judge.policy
    own = policy.p_fa_of(len(judge.scorer.speakers), judge.calibration)
    policy = replace(policy, p_fa=min(own, p_fa), far_per_hour=None)
    return replace(judge, policy=policy, raised_by=RAISED_BY)


def _is_playing(payload: bytes) -> bool:
    if len(payload) > _MAX_PAYLOAD_BYTES:
        return False
    text = payload.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            text = str(parse_json_object(text).get("state"))
        except ValueError:
            return False
    return text.lower() in _PLAYING
