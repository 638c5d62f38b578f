"""Whether what the settings name exists: streams, actions, speakers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.audio.sources import parse_sources
from voiceguard.errors import ConfigError
from voiceguard.paths import enrolled_in, state_dir
from voiceguard.people.checking import check_people
from voiceguard.unlock.config import check_unlock
from voiceguard.wyoming.making import check_names

if TYPE_CHECKING:
    from collections.abc import Collection

    from voiceguard.settings import Settings


def check_streams(
    settings: Settings, sources: Collection[str], enrolled: Collection[str] | None = None
) -> set[str]:
    """What rules and proxies say fits the streams that there are.

    Args:
        settings: ``people`` and ``wyoming`` count, and the actions of ``unlock``.
        sources: Of the daemon, by name.
        enrolled: Speakers; None: the daemon looks at each change of them.

    Returns:
        Every stream, by name: sources, proxies and satellites.

    Raises:
        UsageError: A name is used twice.
        ConfigError: A rule names a stream, an action or a speaker that there is not.
    """
    check_names(sources, settings.wyoming)
    streams = {*sources, *settings.wyoming.names}
    check_people(
        settings.people,
        settings.policy,
        streams=streams,
        actions={*settings.unlock.actions, *settings.wyoming.actions},
        enrolled=enrolled,
    )
    return streams


def check_named(settings: Settings) -> None:
    """Everything that a daemon with these settings would look for by its name, speakers as well.

    Raises:
        VoiceguardError: As ``check_streams`` and ``check_unlock``; or a gate's ``allow`` names
            nobody.
    """
    sources = [each.name for each in parse_sources(settings.audio.sources)]
    enrolled = enrolled_in(state_dir(settings.state_dir))
    streams = check_streams(settings, sources, enrolled)
    check_unlock(settings.unlock, settings.mqtt, streams=streams, enrolled=enrolled)
    for proxy in settings.wyoming.proxy:
        for name in proxy.allow:
            if name not in enrolled:
                raise ConfigError(
                    f"wyoming.proxy {proxy.name!r}: allow names {name!r}, who is not enrolled",
                    hint=f"voiceguard enroll {name}, or take the name out",
                )
