"""torchaudio with and without its compiled part."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from voiceguard.encoder.torchaudio_compat import import_torchaudio

if TYPE_CHECKING:
    from pathlib import Path

LINKER_ERROR = "OSError('Could not load this library: /x/torchaudio/lib/_torchaudio.abi3.so')"
CUDA_ERROR = "RuntimeError('PyTorch and TorchAudio were compiled with different CUDA versions')"


@pytest.fixture
def fake_torchaudio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A torchaudio of three lines, whose ``_extension`` the test writes."""
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    package = tmp_path / "torchaudio"
    (package / "_extension").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from torchaudio import _extension\n"
        "from torchaudio._extension import fail_if_no_align, _IS_ALIGN_AVAILABLE\n"
        "@fail_if_no_align\n"
        "def align(): return 'aligned'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    # What the import leaves in sys.modules is removed with the fixture.
    for name in ("torchaudio", "torchaudio._extension"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    return package / "_extension" / "__init__.py"


@pytest.mark.parametrize("error", [LINKER_ERROR, CUDA_ERROR])
def test_a_compiled_part_that_cannot_be_loaded_is_done_without(
    fake_torchaudio: Path, error: str
) -> None:
    fake_torchaudio.write_text(f"raise {error}\n")
    torchaudio = import_torchaudio()
    assert torchaudio._IS_ALIGN_AVAILABLE is False
    with pytest.raises(RuntimeError, match="torchaudio's align needs its compiled part"):
        torchaudio.align()


def test_a_whole_torchaudio_is_left_alone(fake_torchaudio: Path) -> None:
    fake_torchaudio.write_text(
        "_IS_ALIGN_AVAILABLE = True\ndef fail_if_no_align(function): return function\n"
    )
    assert import_torchaudio().align() == "aligned"


@pytest.mark.parametrize(
    "error", ["OSError('libc.so.6: too old')", "ImportError('torchaudio needs numpy 9')"]
)
def test_other_failures_are_not_hidden(fake_torchaudio: Path, error: str) -> None:
    fake_torchaudio.write_text(f"raise {error}\n")
    with pytest.raises((OSError, ImportError), match=r"too old|numpy 9"):
        import_torchaudio()


def test_the_installed_torchaudio_works_and_prints_nothing() -> None:
    """In a fresh process, warnings being errors."""
    program = (
        "from voiceguard.encoder.torchaudio_compat import import_torchaudio\n"
        "import torch\n"
        "mel = import_torchaudio().transforms.MelSpectrogram(16000, n_fft=512, n_mels=40)\n"
        "assert mel(torch.zeros(1600)).shape == (40, 7)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
