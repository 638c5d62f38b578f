"""The [unlock] table, and what it names that there is not: errors, and nothing opens."""

from __future__ import annotations

from typing import Any

import pytest

from voiceguard.errors import ConfigError
from voiceguard.mqtt.config import MqttConfig
from voiceguard.unlock.config import UnlockAction, UnlockConfig, check_unlock

ACTION: dict[str, Any] = {"speakers": ("anna",), "level": "voice", "i_accept_the_risk": True}


def of(**changes: Any) -> UnlockConfig:  # noqa: ANN401
    return UnlockConfig(actions={"front-door": UnlockAction(**{**ACTION, **changes})})


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (of(streams=("hal",)), "there is no stream 'hal' in audio.sources, only hall"),
        (of(speakers=("ana",)), "'ana' is not enrolled: every request is refused"),
    ],
)
def test_a_stream_or_speaker_that_there_is_not_is_an_error(
    config: UnlockConfig, fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        check_unlock(config, MqttConfig(), streams=["hall"], enrolled=["anna"])


@pytest.mark.parametrize("broker", [{"broker": "none"}, {"protocol": "3.1.1"}])
def test_without_a_broker_that_lets_messages_expire_there_is_no_lock(
    broker: dict[str, Any],
) -> None:
    with pytest.raises(ConfigError, match=r"locks need a broker of MQTT 5"):
        check_unlock(of(), MqttConfig(**broker), streams=["hall"])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"speakers": ()}, "an action needs speakers"),
        ({"speakers": ("Anna B",)}, "'Anna B' is no speaker's name"),
        ({"i_accept_the_risk": False}, "needs i_accept_the_risk = true"),
        ({"p_fa": 0.02}, "p_fa must be"),
    ],
)
def test_an_action_that_cannot_be_is_said_why(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        of(**changes)


def test_names_and_challenges_are_checked() -> None:
    with pytest.raises(ValueError, match=r"an action's name has 1 to 32"):
        UnlockConfig(actions={"front/door": UnlockAction(**ACTION)})
    with pytest.raises(ValueError, match=r"needs unlock\.speech_to_text"):
        of(level="challenge")


def test_nothing_is_opened_by_voice_alone_unless_it_is_said() -> None:
    assert UnlockAction(speakers=("anna",)).level == "challenge"
    with pytest.raises(ValueError, match=r'by voice alone, an action needs level = "voice"'):
        UnlockConfig(actions={"door": UnlockAction(speakers=("anna",), i_accept_the_risk=True)})
    stt = "tcp://127.0.0.1:10300"
    assert UnlockConfig(
        speech_to_text=stt, actions={"door": UnlockAction(speakers=("anna",))}
    ).has_challenges
