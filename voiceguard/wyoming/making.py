"""The rooms of the [wyoming] table, made where there are any: their packages are an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceguard.errors import ConfigError, UsageError, install_command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from voiceguard.clock import Clock
    from voiceguard.decisions.result import Decision
    from voiceguard.wyoming.config import WyomingConfig
    from voiceguard.wyoming.rooms import Rooms


def make_rooms(
    config: WyomingConfig,
    *,
    clock: Clock,
    published: Callable[[str], Awaitable[None]],
    names: Callable[[], Mapping[str, str]],
    judged_for: Callable[[str, Decision], Decision],
) -> Rooms | None:
    """The rooms; None where none is configured.

    Args:
        config: The [wyoming] table.
        clock: Time.
        published: Returns when the broker has taken the decision of that id.
        names: What people call the speakers.
        judged_for: A decision as it is for an action, by people's rules.

    Raises:
        ConfigError: A package is missing.
    """
    if not config.is_used:
        return None
    try:
        from voiceguard.wyoming.rooms import Rooms  # noqa: PLC0415 - its packages may be missing
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"[wyoming] needs the package {error.name}, which is not installed",
            hint=install_command("wyoming", "zeroconf", "ifaddr"),
        ) from error
    return Rooms(config, clock=clock, published=published, names=names, judged_for=judged_for)


def check_names(sources: Iterable[str], config: WyomingConfig) -> None:
    """Streams of both kinds have one list of names.

    Raises:
        UsageError: One is used twice.
    """
    if taken := sorted({*sources} & {*config.names}):
        raise UsageError(
            f'a source and a room of [wyoming] are both called "{taken[0]}"',
            hint="give each stream its own name",
        )
