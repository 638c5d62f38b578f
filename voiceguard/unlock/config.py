"""The [unlock] table: what locks may ask for, and of whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from voiceguard.errors import ConfigError
from voiceguard.people.config import NAME
from voiceguard.unlock.challenge import Language  # noqa: TC001  # pydantic resolves it
from voiceguard.validation.ranges import Between, SettingsTable
from voiceguard.wyoming.config import parse_address

if TYPE_CHECKING:
    from collections.abc import Collection

    from voiceguard.mqtt.config import MqttConfig

MAX_ACTIONS = 16
_RISK = (
    "voice alone can be recorded and copied, and NIST SP 800-63B-4 does not allow it as an "
    "authenticator"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockAction(SettingsTable):
    """One thing that a lock may do, a table [unlock.actions.NAME]."""

    speakers: tuple[str, ...] = ()
    """Whose voice it takes; all of them enrolled. Nobody by default."""
    streams: tuple[str, ...] = ()
    """At which microphones (`audio.sources`) or rooms of `[wyoming]`; empty: at any, also those."""
    level: Literal["voice", "challenge"] = "challenge"
    """`challenge`: the voice must say random digits, which needs `unlock.speech_to_text`. `voice`:
    the voice alone, which needs `i_accept_the_risk` and is never what is meant by default."""
    p_fa: Annotated[float, Between(0, 0.01, is_low_excluded=True)] = 0.001
    """False accepts per attempt of a stranger, all voiceprints together; `policy.p_fa` counts where
    it is lower."""
    i_accept_the_risk: bool = False
    """Voice can be recorded and copied. Logged at each use."""

    def __post_init__(self) -> None:
        SettingsTable.__post_init__(self)
        if not self.speakers:
            raise ValueError("an action needs speakers: nobody could ever use it")
        for name in self.speakers:
            if not NAME.fullmatch(name):
                raise ValueError(f"speakers: {name!r} is no speaker's name (a-z 0-9 _ -)")
        if self.level == "voice" and not self.i_accept_the_risk:
            raise ValueError(
                f'level = "voice" needs i_accept_the_risk = true: {_RISK} (docs/unlock.md)'
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockConfig(SettingsTable):
    """What locks may ask for, the [unlock] table of voiceguard.toml."""

    request_s: Annotated[float, Between(5, 45)] = 20.0
    """How long a request stays open for somebody to speak; a challenge for 10 s at most."""
    expiry_s: Annotated[float, Between(1, 5)] = 5.0
    """How long after it was signed an envelope may be acted on."""
    digits: Annotated[int, Between(4, 10)] = 6
    """How many a challenge asks for."""
    speech_to_text: str = ""
    """Reads the answers to challenges, by Wyoming: `tcp://127.0.0.1:10300`. Needs extra `home`."""
    language: Language = "en"
    """In which digits are said."""
    actions: dict[str, UnlockAction] = field(default_factory=dict)
    """By name, each a table [unlock.actions.NAME]; without one nothing is ever signed."""

    def __post_init__(self) -> None:
        SettingsTable.__post_init__(self)
        if len(self.actions) > MAX_ACTIONS:
            raise ValueError(f"at most {MAX_ACTIONS} actions, not {len(self.actions)}")
        for name in self.actions:
            if not NAME.fullmatch(name):
                raise ValueError(f"an action's name has 1 to 32 of a-z 0-9 _ -, not {name!r}")
        if self.speech_to_text:
            parse_address("speech_to_text", self.speech_to_text)
        elif self.has_challenges:
            raise ValueError(
                'level = "challenge", which is the default, needs unlock.speech_to_text; by voice '
                'alone, an action needs level = "voice" and i_accept_the_risk = true'
            )

    @property
    def has_challenges(self) -> bool:
        """Whether any action asks for digits."""
        return any(action.level == "challenge" for action in self.actions.values())


def check_unlock(
    config: UnlockConfig,
    mqtt: MqttConfig,
    *,
    streams: Collection[str],
    enrolled: Collection[str] | None = None,
) -> None:
    """What lies outside of the [unlock] table and it needs all the same.

    Args:
        config: The table.
        mqtt: Where locks are answered.
        streams: The daemon's, by name.
        enrolled: Speakers; None: the daemon looks at each request.

    Raises:
        ConfigError: There is no broker of MQTT 5, or an action names a stream or speaker that
            there is not.
    """
    if not config.actions:
        return
    if mqtt.address is None or mqtt.protocol == "3.1.1":
        raise ConfigError(
            f"unlock: locks need a broker of MQTT 5, not {mqtt.place} with protocol "
            f"{mqtt.protocol}",
            hint="install mosquitto (config/mosquitto/ has examples), or remove [unlock.actions]",
        )
    for name, action in config.actions.items():
        for stream in action.streams:
            if stream not in streams:
                raise ConfigError(
                    f"unlock.actions.{name}: there is no stream {stream!r} in audio.sources, only "
                    f"{', '.join(sorted(streams))}",
                    hint="a stream's name stands before its source: hall=device:USB",
                )
        for speaker in action.speakers:
            if enrolled is not None and speaker not in enrolled:
                raise ConfigError(
                    f"unlock.actions.{name}: {speaker!r} is not enrolled: every request is refused",
                    hint=f"voiceguard enroll {speaker}",
                )
