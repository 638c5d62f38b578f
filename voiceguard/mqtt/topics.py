"""Hop 6 of 6: what voiceguard says and hears over MQTT, schema 1.

Pure. ``<base>`` is ``<prefix>/<node>``, by default ``voiceguard/<host name>-<4 characters>``.

| topic | retained | payload |
|---|---|---|
| `<base>/availability` | yes | `online`: decisions can be expected, or the daemon is disarmed on
purpose; `unavailable`: connected, and nothing can be decided, `status` says why; `offline`: not
connected (also the last will) |
| `<base>/status` | yes | JSON: `schema`; `state` (`starting`, `listening`, `disarmed`,
`unavailable`); `reason`; `condition`, which says the cause in a word (health.py); `has_problem`;
`armed`; `streams` (name to state, detail and counters: `samples_lost`
by a late reader, `samples_missed`, `num_overflows` and `overflow_s` by the driver, `num_reopened`
and `outage_s` while the device was away, ...); `encoder` (`name`, `encoder_id`, `is_calibrated`);
`speakers`; `voiceprints` (id to `name`, `quality`, `net_speech_s`, `num_takes`); `policy` (`p_fa`,
the `choice` in force and the `choices`); `refused`; `control` (clients of the control socket);
`mqtt` (`host` and `instance` of the daemon; `decisions_delivered`, `decisions_dropped`,
`decisions_expired`, `decisions_refused`, `decisions_unheard`; `refused`: what the broker does not
let us do, and why) |
| `<base>/decision` | never | JSON, the fields of decisions/wire.py: one final one per segment |
| `<base>/provisional` | never | JSON, the same fields: accepts while the segment still grows; a
final decision follows and may revoke them |
| `<base>/speaker` | yes | JSON: `schema`; `speaker` and `outcome` of the latest decision, with its
`stream`, `decision_id` and `decided_at` (all null once the occupancy hold is over, when disarmed or
unavailable), and its `speaker_name`, `llr`, `posterior`, `net_speech_s`, `snr_db`; `p_target`;
`last_accepted`, `last_accepted_at` |
| `<base>/occupancy/<speaker>` | yes | `ON` at an accept; `OFF` as soon as a final decision of that
stream says otherwise or accepts somebody else, when the hold is over, when disarmed or unavailable
|
| `<base>/heard/<speaker>` | yes | JSON: `schema`; `speaker`, `speaker_name`; `heard_at`, `stream`
and `decision_id` of the last final accept. Stays when we go |
| `<base>/stream/<stream>` | yes | JSON: `schema`; `stream`; `condition`, `has_problem`, `detail`;
of the latest decision `speaker`, `speaker_name`, `outcome`, `decision_id`, `decided_at`, null when
the hold is over |
| `<base>/command` | (in) | `arm`, `disarm`, `reload`, `restart`, `p_fa <rate>` (one of
`policy.p_fa_choices`). A retained command is ignored, an unknown one logged |
| `<base>/unlock/request/<action>` | (in) | a lock's request (unlock/requests.py). Ignored where
retained |
| `<base>/unlock/notice/<action>` | never | JSON: what became of it, for people |
| `<base>/unlock/envelope/<action>` | never | the signed answer (unlock/envelope.py) |
| `<discovery prefix>/device/voiceguard_<node>/config` | yes | Home Assistant device discovery |
| `<discovery prefix>/device/voiceguard_<node>__<stream>/config` | yes | the same of a stream |
| `<discovery prefix>/status` | (in) | `online`: discovery and states are sent again |

Rules for consumers. Act on ``decision`` (and ``provisional``) messages, never on a state; check
``expires_at`` against a clock of your own; forget a ``decision_id`` that you have seen (delivery is
at least once); subscribe with a clean session. MQTT 5: decisions are QoS 1 with a message expiry
interval, and of the states those that say that somebody is there expire too. MQTT 3.1.1 has no
expiry, so there decisions are QoS 0; a broker that keeps those for clients that are away
(mosquitto: ``queue_qos0_messages true``) can replay one, so that a broker of 3.1.1 gets them only
where the user vouches for it (``mqtt.decisions_without_expiry``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ONLINE = "online"
OFFLINE = "offline"
UNAVAILABLE = "unavailable"
OCCUPIED = "ON"
EMPTY = "OFF"


class Command(StrEnum):
    """What may be asked of the daemon over MQTT."""

    ARM = "arm"
    DISARM = "disarm"
    RELOAD = "reload"
    RESTART = "restart"
    P_FA = "p_fa"
    """With a rate behind it."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one daemon. ``prefix`` and ``node`` were validated by MqttConfig."""

    prefix: str
    node: str
    discovery_prefix: str

    @property
    def base(self) -> str:
        return f"{self.prefix}/{self.node}"

    @property
    def availability(self) -> str:
        return f"{self.base}/availability"

    @property
    def status(self) -> str:
        return f"{self.base}/status"

    @property
    def decision(self) -> str:
        return f"{self.base}/decision"

    @property
    def provisional(self) -> str:
        return f"{self.base}/provisional"

    @property
    def speaker(self) -> str:
        return f"{self.base}/speaker"

    @property
    def command(self) -> str:
        return f"{self.base}/command"

    def unlock_request(self, action: str) -> str:
        """Where locks ask for an action; ``+``: for any."""
        return f"{self.base}/unlock/request/{action}"

    def unlock_notice(self, action: str) -> str:
        """What became of a request, in words that open nothing."""
        return f"{self.base}/unlock/notice/{action}"

    def unlock_envelope(self, action: str) -> str:
        """Signed answers."""
        return f"{self.base}/unlock/envelope/{action}"

    def occupancy(self, speaker: str) -> str:
        """One speaker's state topic."""
        return f"{self.base}/occupancy/{speaker}"

    def heard(self, speaker: str) -> str:
        """When and where a speaker was last heard."""
        return f"{self.base}/heard/{speaker}"

    def stream(self, stream: str) -> str:
        """One stream's state topic."""
        return f"{self.base}/stream/{stream}"

    @property
    def all(self) -> str:
        """Matches everything below the base."""
        return f"{self.base}/#"

    def of_all(self, kind: str) -> str:
        """Matches the topics of one kind of every speaker or stream."""
        return f"{self.base}/{kind}/+"

    def last_part(self, topic: str, kind: str) -> str | None:
        """The speaker or stream of a topic ``<base>/<kind>/...``; None if it is another."""
        start = f"{self.base}/{kind}/"
        return topic.removeprefix(start) if topic.startswith(start) else None

    @property
    def check(self) -> str:
        """Under it ``voiceguard doctor`` tries what the daemon does."""
        return f"{self.base}/check"

    @property
    def device_id(self) -> str:
        """What Home Assistant knows this daemon by."""
        return f"voiceguard_{self.node}"

    def stream_id(self, stream: str) -> str:
        """What Home Assistant knows a stream by."""
        return f"{self.device_id}__{stream}"

    def stream_discovery(self, stream: str) -> str:
        """Where a stream is announced."""
        return f"{self.discovery_prefix}/device/{self.stream_id(stream)}/config"

    @property
    def discovery(self) -> str:
        return f"{self.discovery_prefix}/device/{self.device_id}/config"

    @property
    def birth(self) -> str:
        """Where Home Assistant announces that it has started."""
        return f"{self.discovery_prefix}/status"
