"""``voiceguard models``: encoders of other projects are brought, listed, verified and removed."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import voiceguard
from tests.encoder import hub as fake
from tests.encoder.foreign.made import make_speechbrain, make_taoruijie
from tests.encoder.made_programs import WaveformModule, describe, save_script
from voiceguard.cli.models.bring import DOWNLOADS, import_model, pull_model
from voiceguard.cli.models.info import info
from voiceguard.cli.models.listing import list_models
from voiceguard.cli.models.names import name_of
from voiceguard.cli.models.remove import remove
from voiceguard.cli.models.use import use_model
from voiceguard.cli.models.verify import verify
from voiceguard.encoder.card import native
from voiceguard.encoder.foreign import catalogue
from voiceguard.encoder.foreign.catalogue import HubFile, KnownEncoder
from voiceguard.encoder.installed import in_use, installed_models
from voiceguard.encoder.library import DEFAULT_MODEL, find_model
from voiceguard.errors import EncoderError, StateError, UsageError
from voiceguard.paths import models_dir

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_speechbrain(tmp_path_factory.mktemp("theirs") / "ECAPA (tiny)")


@pytest.fixture(scope="module")
def imported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with one imported encoder, not to be changed."""
    state = tmp_path_factory.mktemp("state")
    import_model(checkpoint, name="tiny", state_dir=state)
    return state


@pytest.fixture
def state(imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    shutil.copytree(imported, tmp_path / "state")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    return tmp_path / "state"


def _listed(state: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    list_models(state_dir=state, json_lines=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row["name"]: row for row in rows}


def test_what_was_found_is_said_and_installed(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_model(checkpoint, state_dir=tmp_path, json_lines=True)
    said = capsys.readouterr()
    assert "format: SpeechBrain" in said.err
    assert "channels" in said.err
    row = json.loads(said.out)
    assert row["name"] == "ecapa-tiny"
    assert row["source"] == str(checkpoint)
    directory = models_dir(tmp_path)
    assert installed_models(directory) == ["ecapa-tiny"]
    card = native.read_card(directory / "ecapa-tiny" / "model.json")
    assert (card.encoder_id, card.weights_sha256) == (row["encoder_id"], row["weights_sha256"])
    with pytest.raises(UsageError, match="'ecapa-tiny' is installed already"):
        import_model(checkpoint, state_dir=tmp_path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("x/titanet-l.nemo", "titanet-l"),
        ("x/voxceleb_CAM++_LM.onnx", "voxceleb_cam-_lm"),
        ("x/.hidden", "hidden"),
        ("x/ééé", "imported"),
    ],
)
def test_a_name_is_made_of_the_files(path: str, name: str) -> None:
    assert name_of(Path(path)) == name


def test_what_no_reader_need_look_at_is_told_apart(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist"):
        import_model(tmp_path / "nowhere", state_dir=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"the directory .*empty is empty"):
        import_model(tmp_path / "empty", state_dir=tmp_path)
    ours = find_model(DEFAULT_MODEL)
    with pytest.raises(UsageError, match="is in voiceguard's own form already") as raised:
        import_model(ours, state_dir=tmp_path)
    assert f"--model {ours}" in raised.value.hint
    import_model(checkpoint, name="tiny", state_dir=tmp_path)


def test_a_taken_name_is_told_before_anything_is_read(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nonsense").write_bytes(b"?")
    with pytest.raises(UsageError, match="'tiny' is installed already"):
        import_model(tmp_path / "nonsense", name="tiny", state_dir=state)
    assert capsys.readouterr().err == ""


def test_a_publishers_figure_is_not_claimed_for_a_file_of_the_same_name(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_model(checkpoint, name="titanet-large", state_dir=tmp_path)
    row = _listed(tmp_path, capsys)["titanet-large"]
    assert (row["state"], row["published"], row["licence"]) == (
        "installed",
        None,
        "not stated in the checkpoint",
    )


def test_what_is_no_encoder_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8\xff" * 100)
    with pytest.raises(EncoderError, match=r"no encoder of a known format. Looked for: a Speech"):
        import_model(tmp_path / "holiday.jpg", state_dir=tmp_path)
    with pytest.raises(UsageError, match="'default' belongs to voiceguard"):
        import_model(tmp_path / "holiday.jpg", name="default", state_dir=tmp_path)


def test_a_program_with_a_sidecar_from_elsewhere_needs_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = save_script(tmp_path / "theirs.pt", WaveformModule())
    sidecar = describe(program).rename(tmp_path / "described.json")
    with pytest.raises(EncoderError, match=r"theirs\.pt\.json is not"):
        import_model(program, trust=True, state_dir=tmp_path)
    with pytest.raises(UsageError, match="is a program") as raised:
        import_model(program, sidecar=sidecar, state_dir=tmp_path)
    assert "--trust" in raised.value.hint
    assert installed_models(models_dir(tmp_path)) == []
    capsys.readouterr()
    import_model(program, sidecar=sidecar, trust=True, state_dir=tmp_path, json_lines=True)
    assert json.loads(capsys.readouterr().out)["source"] == str(program)
    with pytest.raises(StateError, match="cannot read the sidecar"):
        import_model(program, name="x", sidecar=tmp_path / "none.json", state_dir=tmp_path)


def test_list_tells_shipped_installed_and_published_apart(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = _listed(state, capsys)
    assert (rows[DEFAULT_MODEL]["state"], rows[DEFAULT_MODEL]["is_in_use"]) == ("shipped", True)
    tiny = rows["tiny"]
    assert (tiny["state"], tiny["is_in_use"], tiny["is_calibrated"]) == ("installed", False, False)
    assert tiny["num_parameters"] > 0
    ecapa2 = rows["ecapa2"]
    assert (ecapa2["state"], ecapa2["commercial_use"]) == ("known", False)
    assert (ecapa2["encoder_id"], ecapa2["source"]) == (None, "Jenthe/ECAPA2")
    capsys.readouterr()
    list_models(state_dir=state)
    shown = capsys.readouterr().out
    for words in ("tiny", "not installed", "titanet-large", "CC-BY-NC-4.0", "publisher says"):
        assert words in shown


def test_info_shows_an_imported_encoder_and_a_published_one(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert info("tiny", state_dir=state) == 0
    shown = capsys.readouterr().out
    assert "intact" in shown
    assert "no calibration: every decision is inconclusive" in shown
    assert "speechbrain" in shown
    assert info("ecapa2", state_dir=state) == 0
    shown = capsys.readouterr().out
    for words in ("not installed", "CC-BY-NC-4.0 (no commercial use)", "pull ecapa2 --trust"):
        assert words in shown


def test_verify_recomputes_hashes_and_golden_embeddings(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(state_dir=state, json_lines=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == [DEFAULT_MODEL, "tiny"]
    assert rows[1]["deviation"] < 1e-3
    assert verify("tiny", state_dir=state) == 0
    assert "tiny: intact, and gives the very embedding" in capsys.readouterr().out
    with pytest.raises(UsageError, match="no encoder 'other' here"):
        verify("other", state_dir=state)


def test_verify_says_what_is_missing_and_does_not_call_that_intact(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models_dir(state) / "tiny" / "model.safetensors").unlink()
    assert verify("tiny", state_dir=state) == 1
    said = capsys.readouterr()
    assert said.out == "tiny: not verified\n"
    assert "fault:" in said.err


def test_verify_tells_a_changed_file_and_a_machine_that_computes_otherwise(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = models_dir(state) / "tiny"
    card = json.loads((directory / "model.json").read_text())
    card["golden"][0] += 0.1
    (directory / "model.json").write_text(json.dumps(card))
    assert verify("tiny", state_dir=state) == 1
    assert (
        "does not give what model.safetensors gave when it was installed" in capsys.readouterr().err
    )
    weights = bytearray((directory / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (directory / "model.safetensors").write_bytes(weights)
    assert verify("tiny", state_dir=state) == 1
    assert "is damaged or was replaced" in capsys.readouterr().err


def test_use_and_remove(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = models_dir(state)
    use_model("tiny", state_dir=state, json_lines=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["name"], said["is_calibrated"], said["other_voiceprints"]) == ("tiny", False, [])
    assert find_model("default", directory).parent.name == "tiny"
    assert _listed(state, capsys)["tiny"]["is_in_use"]
    with pytest.raises(UsageError, match="'tiny' is in use"):
        remove("tiny", state_dir=state)
    with pytest.raises(UsageError, match="is shipped with voiceguard"):
        remove(DEFAULT_MODEL, state_dir=state)
    with pytest.raises(UsageError, match="default can't be removed"):
        remove("default", state_dir=state)
    with pytest.raises(UsageError, match=r"no encoder 'other' here; there are .*tiny") as raised:
        use_model("other", state_dir=state)
    assert "`voiceguard models import` or `pull`" in raised.value.hint
    with pytest.raises(UsageError, match="titanet-large is published, and not") as raised:
        use_model("titanet-large", state_dir=state)
    assert "`voiceguard models pull titanet-large`" in raised.value.hint
    with pytest.raises(UsageError, match="titanet-small is published, and not") as raised:
        use_model("titanet-small", state_dir=state)
    assert "`voiceguard models import FILE --name titanet-small`" in raised.value.hint
    use_model("default", state_dir=state)
    assert in_use(directory) is None
    remove("tiny", state_dir=state)
    assert installed_models(directory) == []


def test_one_whose_card_is_damaged_is_not_chosen(state: Path) -> None:
    (models_dir(state) / "tiny" / "model.json").write_text("{}")
    with pytest.raises(EncoderError, match="the card of tiny is missing or damaged") as raised:
        use_model("tiny", state_dir=state)
    assert "`voiceguard models verify tiny`" in raised.value.hint
    assert in_use(models_dir(state)) is None


def test_a_configuration_that_names_an_encoder_comes_first(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEGUARD_ENCODER__MODEL", DEFAULT_MODEL)
    use_model("tiny", state_dir=state)
    assert "not yet: the configuration names encoder.model" in capsys.readouterr().err
    monkeypatch.setenv("VOICEGUARD_ENCODER__MODEL", "tiny")
    use_model("default", state_dir=state)
    with pytest.raises(UsageError, match="the configuration names it"):
        remove("tiny", state_dir=state)


# --- pulling --------------------------------------------------------------------------------


@pytest.fixture
def hub(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake.Hub]:
    """Holds a free encoder in SpeechBrain's layout, and one that is for non-commercial use."""
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    unofficial = make_taoruijie(tmp_path / "pretrain.model").read_bytes()
    files = {file.name: file.read_bytes() for file in checkpoint.iterdir()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    free = KnownEncoder(
        name="free",
        family="SpeechBrain",
        hub="someone/free",
        revision=fake.COMMIT,
        files=tuple(HubFile(name=name, sha256=digest) for name, digest in hashes.items()),
        licence="Apache-2.0",
        commercial_use=True,
        published="EER 1 %",
    )
    bound = KnownEncoder(
        name="bound",
        family="unofficial",
        hub="someone/bound",
        files=(HubFile(name="pretrain.model"),),
        licence="CC-BY-NC-4.0",
        commercial_use=False,
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", (free, bound))
    held = {"someone/free": files, "someone/bound": {"pretrain.model": unofficial}}
    with fake.running(held) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def test_pull_shows_the_licence_and_installs(
    hub: fake.Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull_model("free", state_dir=tmp_path)
    said = capsys.readouterr()
    assert said.err.index("licence Apache-2.0") < said.err.index("format: SpeechBrain")
    assert "installed free" in said.out
    card = native.read_card(models_dir(tmp_path) / "free" / "model.json")
    assert (card.licence, card.commercial_use, card.published) == ("Apache-2.0", True, "EER 1 %")
    assert card.source.startswith(f"someone/free@{fake.COMMIT} (")
    assert not (models_dir(tmp_path) / DOWNLOADS / "free").exists()
    hub.requests.clear()
    with pytest.raises(UsageError, match="'free' is installed already"):
        pull_model("free", state_dir=tmp_path)
    assert not hub.requests


def test_a_non_commercial_licence_must_be_accepted_before_anything_is_fetched(
    hub: fake.Hub,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageError, match=r"CC-BY-NC-4.0.* must be accepted") as raised:
        pull_model("bound", state_dir=tmp_path)
    assert "--accept-licence" in raised.value.hint
    assert not hub.requests
    assert "does not allow commercial use" in capsys.readouterr().err
    pull_model("bound", accept_licence=True, state_dir=tmp_path)
    card = native.read_card(models_dir(tmp_path) / "bound" / "model.json")
    assert card.commercial_use is False
    with pytest.raises(UsageError, match=r"licence of free .not known. must be accepted"):
        pull_model("someone/free", own_name="mine", state_dir=tmp_path)


@pytest.mark.usefixtures("hub")
def test_what_nobody_knows_is_not_pulled(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no published encoder is called 'x'") as raised:
        pull_model("x", state_dir=tmp_path)
    assert "known: free, bound" in raised.value.hint
    with pytest.raises(UsageError, match="the files of free are known"):
        pull_model("free", files=["x"], state_dir=tmp_path)


def test_a_program_is_not_even_fetched_without_trust(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ecapa2 is a program") as raised:
        pull_model("ecapa2", accept_licence=True, state_dir=tmp_path)
    assert "--trust" in raised.value.hint


# --- as a user types it ---------------------------------------------------------------------


def test_the_help_says_that_torchscript_is_a_program(tmp_path: Path) -> None:
    shown = " ".join(voiceguard("models", "import", "--help", state=tmp_path).stdout.split())
    assert "it is a program, and can do anything that you can do" in shown.replace("│ │ ", "")


def test_the_commands_load_no_torch_before_they_need_it() -> None:
    code = "import sys, voiceguard.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
