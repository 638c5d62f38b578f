"""Settings: where they come from, which wins, and what a mistake is answered with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from voiceguard.errors import ConfigError
from voiceguard.settings import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_complete_file_says_exactly_the_defaults() -> None:
    """config/voiceguard.toml documents every setting with the value that it has anyway."""
    path = REPOSITORY / "config" / "voiceguard.toml"
    from_file, built_in = load_settings(path).model_dump(), Settings().model_dump()
    assert from_file == built_in
    written = tomllib.loads(path.read_text())
    text = path.read_text()
    for table, values in built_in.items():
        for key in values if isinstance(values, dict) else ():
            named = (f"# {key} =", f"# [[{table}.{key}]]")
            is_there = key in written[table] or any(each in text for each in named)
            assert is_there, f"[{table}] {key} is missing from {path.name}"


def test_command_line_beats_environment_beats_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "v.toml", "[gate]\nhangover_s = 0.3\n[policy]\np_fa = 0.002\n")
    assert load_settings(path).gate.hangover_s == 0.3
    monkeypatch.setenv("VOICEGUARD_GATE__HANGOVER_S", "0.4")
    assert load_settings(path).gate.hangover_s == 0.4
    settings = load_settings(path, gate={"hangover_s": 0.6}, policy={"p_fa": None})
    assert settings.gate.hangover_s == 0.6
    assert settings.policy.p_fa == 0.002


def test_a_misspelt_key_is_named_with_the_right_one(tmp_path: Path) -> None:
    path = _write(tmp_path / "v.toml", "[gate]\nhangover = 0.3\n")
    with pytest.raises(ConfigError, match=r"gate\.hangover: .*did you mean hangover_s"):
        load_settings(path)


def test_a_misspelt_table_is_named_with_the_right_one(tmp_path: Path) -> None:
    path = _write(tmp_path / "v.toml", "[polizy]\np_fa = 0.1\n")
    with pytest.raises(ConfigError, match=r"polizy: .*did you mean policy"):
        load_settings(path)


def test_a_misspelt_environment_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """pydantic-settings would pass over it in silence, and the user would wonder for hours."""
    monkeypatch.setenv("VOICEGUARD_POLIZY__P_FA", "0.1")
    with pytest.raises(ConfigError, match=r"VOICEGUARD_POLIZY__P_FA .*VOICEGUARD_POLICY"):
        load_settings()


def test_a_value_out_of_range_says_the_range_and_what_was_found(tmp_path: Path) -> None:
    path = _write(tmp_path / "v.toml", "[policy]\np_fa = 0.5\n")
    with pytest.raises(ConfigError, match=r"policy: .*p_fa .*0\.05.*0\.5") as caught:
        load_settings(path)
    assert str(path) in caught.value.hint


def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "v.toml", "[gate\n")
    with pytest.raises(ConfigError, match=r"v\.toml is not valid TOML: .*line 1"):
        load_settings(path)


def test_a_file_named_explicitly_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml is not there"):
        load_settings(tmp_path / "nowhere.toml")


def test_a_directory_is_no_configuration_file_and_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"configuration file .* is no file"):
        load_settings(tmp_path)


def test_a_file_in_another_encoding_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    path.write_bytes('[audio]\nsources = ["file:café.wav"]\n'.encode("latin-1"))
    with pytest.raises(
        ConfigError, match=r"v\.toml is not valid TOML: line 2 is not UTF-8"
    ) as told:
        load_settings(path)
    assert told.value.hint == "save it as UTF-8"


def test_the_users_own_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "config" / "voiceguard" / "voiceguard.toml"
    path.parent.mkdir(parents=True)
    _write(path, 'state_dir = "/somewhere"\n')
    assert load_settings().state_dir == "/somewhere"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gate]\nhangover_s = 'x'\n", "gate.hangover_s: must be a number (found 'x')"),
        ("[audio]\nblock_ms = 1.5\n", "audio.block_ms: must be a whole number (found 1.5)"),
        (
            "[audio]\nchannel = 'left'\n",
            "audio.channel: must be 'downmix' or a whole number (found 'left')",
        ),
        ("[audio]\nsources = [1]\n", "audio.sources: must be a text (found 1)"),
        ("[log]\nlevel = 'loud'\n", "log.level: must be 'debug', 'info', 'warning' or 'error'"),
        ("[mqtt]\ndiscovery = 'x'\n", "mqtt.discovery: must be true or false (found 'x')"),
        ("gate = 3\n", "gate: must be a table (found 3)"),
        ("state_dir = 3\n", "state_dir: must be a text (found 3)"),
        ("[windows]\nmin_s = 3.0\nmax_s = 2.0\n", "windows: min_s must be between 0.3 and 2.0"),
    ],
)
def test_a_value_of_the_wrong_kind_is_answered_in_our_words(
    tmp_path: Path, text: str, said: str
) -> None:
    """Never in pydantic's: its texts are for programmers."""
    with pytest.raises(ConfigError) as caught:
        load_settings(_write(tmp_path / "v.toml", text))
    assert said in str(caught.value)
    assert "nput should" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = " + b"[" * 10_000, "nested too deeply"),
        (b"[audio]\nblock_ms = " + b"9" * 5000, "not valid TOML"),
        (b"\xff", "not valid TOML"),
        (b"[gate]\nhangover_s = 1e400", "hangover_s must be between"),
        (b"[audio]\nsources = ['" + b"x" * 5000 + b"', 1]", r"audio\.sources: must be a text"),
    ],
)
def test_a_hostile_file_is_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "v.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(path)
    assert len(str(caught.value)) < 1000


def test_a_byte_order_mark_is_none_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    path.write_bytes(b"\xef\xbb\xbf[gate]\r\nhangover_s = 0.3\r\n")
    assert load_settings(path).gate.hangover_s == 0.3


@pytest.mark.parametrize("value", ["x", "[1]", "[" * 100_000, '{"ring_s": 1e400}'])
def test_a_table_in_the_environment_is_json_or_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("VOICEGUARD_AUDIO", value)
    with pytest.raises(ConfigError, match="VOICEGUARD_AUDIO must be a table in JSON"):
        load_settings()
    monkeypatch.setenv("VOICEGUARD_AUDIO", '{"ring_s": 20}')
    assert load_settings().audio.ring_s == 20


def test_a_rate_per_hour_takes_the_place_of_the_default_and_of_nothing_stated(
    tmp_path: Path,
) -> None:
    path = _write(tmp_path / "v.toml", "[policy]\nfar_per_hour = 1\n")
    policy = load_settings(path).policy
    assert (policy.p_fa, policy.far_per_hour) == (None, 1.0)
    with pytest.raises(ConfigError, match=r"policy: .*either p_fa or far_per_hour, not both"):
        load_settings(path, policy={"p_fa": 0.002})
    path.write_text("[policy]\nfar_per_hour = 90\n")
    with pytest.raises(ConfigError, match=r"policy: .*far_per_hour .*60\.0.*90"):
        load_settings(path)


@pytest.mark.parametrize("setting", ["prefix", "node_id", "discovery_prefix"])
def test_a_value_of_any_length_is_repeated_in_part(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} must be ") as refused:
        load_settings(None, mqtt={setting: "x" * 100_000 + "!"})
    assert len(str(refused.value)) < 500
