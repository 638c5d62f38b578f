"""``voiceguard models list``: read by a person on a narrow terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from voiceguard.cli import output
from voiceguard.cli.models import listing as models_list
from voiceguard.cli.models.listing import list_models
from voiceguard.encoder.foreign.catalogue import CATALOGUE
from voiceguard.encoder.library import DEFAULT_MODEL, stated_encoder_id
from voiceguard.service.encoders import Row

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = Row(
    name=max((known.name for known in CATALOGUE), key=len),
    state="installed",
    is_default=False,
    is_in_use=True,
    encoder_id="0123456789abcdef",
    num_parameters=123_456_789,
    embedding_dim=3072,
    num_bytes=1_300_000_000,
    is_calibrated=False,
    licence="not stated in the file; ask its publisher",
    commercial_use=None,
    published=None,
    source="/home/somebody/downloads/" + "a-directory/" * 8 + "file.onnx",
)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What the command finds."""
    found: list[Row] = []
    monkeypatch.setattr(models_list, "rows", lambda _settings: found)
    return found


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_and_no_word_of_a_row_is_cut(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.stdout, "width", width)
    list_models(state_dir=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    shown = [line.split() for line in lines]
    (default,) = (words for words in shown if DEFAULT_MODEL in words)
    assert default[0] == "*"
    assert default[-2:] == ["yes", "yes"]
    for known in CATALOGUE:
        (row,) = (words for words in shown if words[:1] == [known.name])
        assert row[-1] in {"yes", "no", "?"}
    told = " ".join(word for words in shown for word in words)
    for licence in {known.licence for known in CATALOGUE}:
        assert f"{licence or 'licence not known'}, from " in told
    assert f"shipped, id {stated_encoder_id('default')}, Apache-2.0" in told
    assert "its publisher says: EER 0.797 % on VoxCeleb1-O (cleaned), 0.723 % with AS-norm" in told


def test_the_longest_names_fit_and_long_paths_are_folded_below(
    rows: list[Row],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output.stdout, "width", 80)
    rows.append(LONGEST)
    list_models(state_dir=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["*", LONGEST.name, "123.46", "M", "3072", "1300.0", "MB", "no", "?"]
    assert "licence not stated" in lines[2]
    assert LONGEST.source in "".join(line.strip() for line in lines)


def test_where_no_row_is_in_use_it_says_what_is(
    rows: list[Row],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows.append(replace(LONGEST, is_in_use=False))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "in-use").write_text("gone\n")
    list_models(state_dir=tmp_path)
    assert "in use: gone, which is not here any more" in capsys.readouterr().out
    monkeypatch.setenv("VOICEGUARD_ENCODER__MODEL", "/path/mine.safetensors")
    list_models(state_dir=tmp_path)
    assert "in use: /path/mine.safetensors, which the configuration" in capsys.readouterr().out
