"""Every setting: one model, from a TOML file, ``VOICEGUARD_*`` variables and the command line.

Later beats earlier. Each table is the configuration dataclass that stands beside the component it
configures, so that a default, its meaning and its limits live in one place. Unknown keys are
errors. ``config/voiceguard.toml`` lists everything.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    get_args,
    get_type_hints,
)

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from voiceguard.audio.config import AudioConfig
from voiceguard.decisions.history import HistoryConfig
from voiceguard.encoder.config import EncoderConfig
from voiceguard.encoder.overlap.config import OverlapConfig
from voiceguard.errors import ConfigError
from voiceguard.logs import LogConfig
from voiceguard.mqtt.config import MqttConfig
from voiceguard.paths import find_config_file, read_node_suffix, state_dir
from voiceguard.people.config import PeopleConfig
from voiceguard.pipeline.television import TelevisionConfig
from voiceguard.scoring.policy import PolicyConfig
from voiceguard.speech.gate import GateConfig
from voiceguard.speech.vad import VadConfig
from voiceguard.speech.windows import WindowConfig
from voiceguard.unlock.config import UnlockConfig
from voiceguard.validation.files import read_regular
from voiceguard.validation.parsing import MAX_BYTES, parse_json_object
from voiceguard.validation.ranges import Between, SettingsTable
from voiceguard.validation.reading import expected, shortened
from voiceguard.wyoming.config import WyomingConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ENVIRONMENT_PREFIX = "VOICEGUARD_"

OTHER_VARIABLES = {"VOICEGUARD_CONFIG", "VOICEGUARD_REQUIRE_SERVICES"}
"""Variables of this prefix that are not settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig(SettingsTable):
    """How the daemon behaves, the [service] table of voiceguard.toml."""

    start: Literal["armed", "disarmed", "as_before"] = "as_before"
    """Whether it listens after a start; ``as_before``: as it was left, armed the first time."""
    inference_timeout_s: Annotated[float, Between(0.1, 3600)] = 10.0
    """An inference that takes longer makes the daemon unavailable, and systemd restart it."""
    voiceprint_poll_s: Annotated[float, Between(0.1, 3600)] = 1.0
    """How often the store is looked at for speakers added, changed or removed."""
    status_interval_s: Annotated[float, Between(0.1, 3600)] = 30.0
    """How often the published counters are refreshed; changes of state are published at once."""


class Settings(BaseSettings):
    """The whole configuration, checked."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    state_dir: str = ""
    """Where voiceprints and history live; empty: $STATE_DIRECTORY or the platform's own place."""
    key_file: str = ""
    """The key that seals the voiceprints; empty: a systemd credential or the platform's place."""

    audio: AudioConfig = Field(default_factory=AudioConfig)
    vad: VadConfig = Field(default_factory=VadConfig)
    gate: GateConfig = Field(default_factory=GateConfig)
    windows: WindowConfig = Field(default_factory=WindowConfig)
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    overlap: OverlapConfig = Field(default_factory=OverlapConfig)
    policy: PolicyConfig = Field(default_factory=PolicyConfig)
    people: PeopleConfig = Field(default_factory=PeopleConfig)
    mqtt: MqttConfig = Field(default_factory=MqttConfig)
    unlock: UnlockConfig = Field(default_factory=UnlockConfig)
    history: HistoryConfig = Field(default_factory=HistoryConfig)
    wyoming: WyomingConfig = Field(default_factory=WyomingConfig)
    television: TelevisionConfig = Field(default_factory=TelevisionConfig)
    service: ServiceConfig = Field(default_factory=ServiceConfig)
    log: LogConfig = Field(default_factory=LogConfig)

    _from_file: ClassVar[dict[str, Any]] = {}

    @field_validator("policy", mode="before")
    @classmethod
    def _without_default_p_fa(cls, policy: object) -> object:
        """A rate per hour takes the place of p_fa's default, and of nothing that is stated."""
        if isinstance(policy, dict) and policy.get("far_per_hour") is not None:
            return {"p_fa": None, **policy}
        return policy

    @model_validator(mode="after")
    def _hears_something(self) -> Self:
        if not (self.audio.sources or self.wyoming.is_used):
            raise ValueError(
                'audio.sources must name at least one source, for example "device", where there is '
                "no [[wyoming.proxy]] and no [[wyoming.satellite]]"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # not used, on purpose
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line over environment over file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, cls._from_file)


_TABLES = frozenset(
    name for name, field in Settings.model_fields.items() if field.annotation is not str
)


def load_settings(config_file: Path | None = None, **overrides: Any) -> Settings:  # noqa: ANN401
    """Reads and checks the whole configuration.

    Args:
        config_file: The file to read instead of searching for one.
        **overrides: Values from the command line, nested as the TOML is; None is left out.

    Raises:
        ConfigError: Names the file or variable, the key, what was found and what was expected.
    """
    path = find_config_file(config_file)
    values = {} if path is None else _read_toml(path)
    _check_environment()

    class _SettingsFromFile(Settings):
        _from_file: ClassVar[dict[str, Any]] = values

    try:
        settings = _SettingsFromFile(**_without_none(overrides))
    except ValidationError as error:
        raise ConfigError(
            "\n".join(_sentences(error.errors(include_url=False))),
            hint=f"correct {path or 'the setting'}; `voiceguard config show` lists every setting",
        ) from None  # its own text shows what was found, a broker's password perhaps
    return with_node_suffix(settings, read_node_suffix(state_dir(settings.state_dir)))


def with_node_suffix(settings: Settings, suffix: str) -> Settings:
    """The settings with a node id that is unlike those of other machines of this name."""
    return settings.model_copy(update={"mqtt": settings.mqtt.with_node_suffix(suffix)})


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    nested = {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }
    return {key: value for key, value in nested.items() if value != {}}


def _read_toml(path: Path) -> dict[str, Any]:
    """A byte order mark, as editors elsewhere leave it, is none of the text."""
    try:
        if len(content := read_regular(path, MAX_BYTES + 1)) > MAX_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes", hint="is it settings?")
        return tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply", hint="correct it") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path} is not valid TOML: line {line} is not UTF-8", hint="save it as UTF-8"
        ) from error
    except ValueError as error:  # also of endless numbers
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="correct that line") from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="mend its permissions"
        ) from error


def _check_environment() -> None:
    """A misspelt variable must not be passed over in silence (pydantic-settings would)."""
    known = {name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in OTHER_VARIABLES:
            continue
        table = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")[0]
        if table not in known:
            close = difflib.get_close_matches(table, known, n=1)
            suggestion = f"; did you mean {ENVIRONMENT_PREFIX}{close[0]}?" if close else ""
            raise ConfigError(
                f"environment variable {variable} is not a setting{suggestion}",
                hint="`voiceguard config show` lists every setting",
            )
        if variable.removeprefix(ENVIRONMENT_PREFIX).lower() in _TABLES:
            _check_table(variable, os.environ[variable])


def _check_table(variable: str, text: str) -> None:
    try:
        parse_json_object(text)
    except ValueError as error:
        raise ConfigError(
            f"environment variable {variable} must be a table in JSON: {error}",
            hint=f"or set single settings: {variable}__NAME",
        ) from error


def _sentences(faults: Iterable[Mapping[str, Any]]) -> list[str]:
    """Validation faults in words, one per setting: ``policy: p_fa must be ...``."""
    by_setting: dict[str, list[Mapping[str, Any]]] = {}
    for fault in faults:  # a setting of several kinds has one fault for each of them
        # Of a table among several: which one, and its setting.
        is_inner = fault["loc"][:1] == ("wyoming",) or fault["loc"][1:2] in _NAMED_TABLES
        depth = 4 if len(fault["loc"]) > 2 and is_inner else 2
        by_setting.setdefault(".".join(map(str, fault["loc"][:depth])), []).append(fault)
    return [
        f"{where}: {_complaint(where.split('.'), found)}" for where, found in by_setting.items()
    ]


_NAMED_TABLES = {("actions",), ("rules",)}
_LONGEST_COMPLAINT = 400
_UNSHOWN = {("mqtt",), *(("mqtt", key) for key in ("broker", "username", "password_file"))}
"""Settings whose values may hold a password, wherever people put it."""


def _complaint(location: list[str], faults: list[Mapping[str, Any]]) -> str:
    fault = faults[0]
    if fault["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        close = difflib.get_close_matches(location[-1], _keys_at(location[:-1]), n=1)
        return "there is no such setting" + (f"; did you mean {close[0]}?" if close else "")
    wanted = [expected(each) for each in faults]
    if None in wanted:
        return _cut(str(fault["ctx"]["error"]))
    found = fault["input"]
    shown = f"a {type(found).__name__}" if tuple(location) in _UNSHOWN else shortened(found)
    return f"must be {' or '.join(map(str, wanted))} (found {shown})"


def _cut(complaint: str) -> str:
    """What a value's own check says, which may repeat a value of any length."""
    return complaint if len(complaint) <= _LONGEST_COMPLAINT else f"{complaint[:300]}..."


def _keys_at(location: list[str]) -> list[str]:
    if not location:
        return list(Settings.model_fields)
    field = Settings.model_fields.get(location[0])
    table = getattr(field, "annotation", None)
    if len(location) > 1 and table is not None:  # a table among several
        kinds = get_args(get_type_hints(table).get(location[1]))
        table = next((each for each in kinds if hasattr(each, "__dataclass_fields__")), None)
    return list(getattr(table, "__dataclass_fields__", {}))
