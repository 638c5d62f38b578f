"""The parts fit together, also those of an older encoder that somebody goes on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.encoder.foreign.made import make_speechbrain
from tests.older_encoder import put_by
from tests.recordings import STRANGERS, TAKES
from voiceguard.api import Guard, open_guard
from voiceguard.encoder import installing, library
from voiceguard.encoder.foreign import detecting
from voiceguard.encoder.library import calibration_path, cohort_path
from voiceguard.errors import EncoderError, VoiceprintError
from voiceguard.paths import models_dir, own_calibration_file
from voiceguard.service.kit import assemble, calibration_in_force, open_store
from voiceguard.settings import load_settings
from voiceguard.types import Outcome, Reason

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_by(tmp_path_factory.mktemp("older"))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, older: Path) -> Path:
    """A state directory in which robin was enrolled with the older encoder."""
    state = tmp_path_factory.mktemp("state")
    guard = open_guard(state_dir=str(state), encoder={"model": str(older)})
    guard.enroll("robin", TAKES[:3], consent=True)
    return state


def test_one_can_go_on_with_an_older_encoders_file(older: Path, state: Path) -> None:
    """By its own cohort and calibration, which lie beside it, old voiceprints decide as before."""
    kit = assemble(load_settings(None, state_dir=str(state), encoder={"model": str(older)}))
    encoder_id = kit.encoder.info.encoder_id
    assert kit.encoder.info.name == "old"
    assert kit.cohort is not None
    assert kit.calibration is not None
    assert kit.cohort.encoder_id == kit.calibration.encoder_id == encoder_id
    guard = Guard(kit)
    judgement = guard.verify("robin", TAKES[3])
    assert judgement.encoder_id == encoder_id
    assert judgement.outcome is Outcome.ACCEPTED
    assert judgement.scores[0].llr is not None
    assert judgement.accept_llr is not None
    assert guard.verify("robin", STRANGERS[0]).outcome is not Outcome.ACCEPTED


def test_by_another_encoder_nobody_is_recognised_and_the_way_on_is_told(state: Path) -> None:
    guard = open_guard(state_dir=str(state))
    with pytest.raises(
        VoiceprintError, match=r"'robin' was made by encoder [0-9a-f]{16}"
    ) as caught:
        guard.verify("robin", TAKES[3])
    assert "voiceguard enroll robin --force" in caught.value.hint
    assert 'model = "/path/old.safetensors" under [encoder]' in caught.value.hint
    assert guard.identify(TAKES[3]).reason is Reason.NO_VOICEPRINTS


def test_an_encoder_without_calibration_is_usable(tmp_path: Path) -> None:
    path = put_by(tmp_path)
    calibration_path(str(path)).unlink()
    cohort_path(str(path)).unlink()
    kit = assemble(load_settings(None, encoder={"model": str(path)}))
    assert (kit.cohort, kit.calibration) == (None, None)


def test_another_encoders_cohort_beside_the_weights_is_an_error(tmp_path: Path) -> None:
    path = put_by(tmp_path)
    cohort_path(str(path)).write_bytes(cohort_path("default").read_bytes())
    with pytest.raises(EncoderError, match="belongs to encoder"):
        assemble(load_settings(None, encoder={"model": str(path)}))


def test_a_calibration_of_this_machine_comes_before_the_shipped_one_and_a_named_one_before_both(
    tmp_path: Path,
) -> None:
    settings = load_settings(None, state_dir=str(tmp_path))
    shipped = calibration_path("default")
    assert calibration_in_force(settings, "0123") == shipped
    own = own_calibration_file(tmp_path, "0123")
    own.parent.mkdir()
    own.write_bytes(shipped.read_bytes())
    assert calibration_in_force(settings, "0123") == own
    assert calibration_in_force(settings, "4567") == shipped
    named = load_settings(
        None, state_dir=str(tmp_path), encoder={"calibration": str(tmp_path / "room.json")}
    )
    assert calibration_in_force(named, "0123") == tmp_path / "room.json"


def test_a_named_calibration_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    missing = tmp_path / "room.json"
    settings = load_settings(None, state_dir=str(tmp_path), encoder={"calibration": str(missing)})
    with pytest.raises(EncoderError, match=r"room\.json does not exist"):
        assemble(settings)


def test_an_imported_encoder_of_the_state_directory_decides_nothing_until_it_is_calibrated(
    tmp_path: Path,
) -> None:
    """Found in the state directory of the settings, by its name or as the one in use."""
    models = models_dir(tmp_path)
    read = detecting.read(make_speechbrain(tmp_path / "theirs"))
    card = installing.install(read, "tiny", models)
    by_name = assemble(load_settings(None, state_dir=str(tmp_path), encoder={"model": "tiny"}))
    library.use("tiny", models)
    kit = assemble(load_settings(None, state_dir=str(tmp_path)))
    for each in (by_name, kit):
        assert each.encoder.info.encoder_id == card.encoder_id
        assert (each.cohort, each.calibration) == (None, None)
    guard = Guard(kit)
    guard.enroll("robin", TAKES[:3], consent=True)
    judgement = guard.verify("robin", TAKES[3])
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.reason is Reason.UNCALIBRATED
    assert judgement.scores[0].llr is None
    assert -1 <= judgement.scores[0].cosine <= 1


def test_a_state_directory_that_everybody_may_write_into_draws_a_word(tmp_path: Path) -> None:
    settings = load_settings(None, state_dir=str(tmp_path))
    tmp_path.chmod(0o700)
    with capture_logs() as logs:
        open_store(settings)
    assert logs == []
    tmp_path.chmod(0o1777)
    with capture_logs() as logs:
        open_store(settings)
    assert [(each["event"], each["hint"]) for each in logs] == [
        ("state_dir_exposed", f"chmod 700 {tmp_path}")
    ]
