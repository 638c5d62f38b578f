"""``doubtful`` as a user types it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command import voiceguard
from tests.lab.evaluation.voices import people, write_corpus

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Missing option '--model'"),
        (("--model", "default"), "two encoders must agree before a label is doubted, not 1"),
        (("--model", "default", "--model", "ecapa-c320"), "are one encoder"),
        (("--model", "default", "--model", "nobody"), "there is no encoder 'nobody'"),
    ],
)
def test_one_witness_is_not_enough(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    write_corpus(tmp_path, people(3, utterances=1, second_session=0))
    done = voiceguard("doubtful", tmp_path, *arguments, state=tmp_path)
    assert done.returncode != 0
    assert told in " ".join(done.stderr.split())
