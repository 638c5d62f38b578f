"""Files that mean harm, or are only odd: refused by name, or read for what they are."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.audio.sound_files import tone, write_audio
from tests.campaign.audio_files import campaign
from voiceguard.audio.files import SoundFile, load_audio
from voiceguard.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voiceguard.types import Samples


def wav_header(rate_hz: int, channels: int, num_bytes: int, magic: bytes = b"RIFF") -> bytes:
    """Of 16-bit PCM."""
    order = "big" if magic == b"RIFX" else "little"

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "big" if order == "big" else "little")

    parts = (
        *(magic, number(36 + num_bytes, 4), b"WAVEfmt ", number(16, 4), number(1, 2)),
        *(number(channels, 2), number(rate_hz, 4), number(rate_hz * channels * 2, 4)),
        *(number(channels * 2, 2), number(16, 2), b"data", number(num_bytes, 4)),
    )
    return b"".join(parts)


def pcm(samples: Samples, kind: str = "<i2") -> bytes:
    return np.round(samples * 32767).astype(kind).tobytes()


# --- what is no recording -------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [1, 3_999, 768_001, 2_000_000_000])
def test_a_rate_that_no_recording_has_is_refused_at_once(rate_hz: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(rate_hz, 1, 1_000) + bytes(1_000))
    began_s = time.process_time()
    with pytest.raises(AudioError, match=f"{rate_hz} samples per second, where 4000 to 768000"):
        load_audio(path)
    assert time.process_time() - began_s < 1.0


@pytest.mark.parametrize("rate_hz", [4_000, 768_000])
def test_the_lowest_and_the_highest_rate_are_read(rate_hz: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(rate_hz, 1, rate_hz) + bytes(rate_hz))
    assert len(load_audio(path)) == 8_000


def test_so_many_channels_that_nobody_has_them_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(16_000, 300, 60_000) + bytes(60_000))
    with pytest.raises(AudioError, match=r"300 channels|not a readable audio file"):
        load_audio(path)


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{other}\n#EXT-X-ENDLIST\n",
    "a.wav": "ffconcat version 1.0\nfile {other}\n",
    "a.ffconcat": "ffconcat version 1.0\nfile {other}\n",
    "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/wav">'
    '<Representation id="0" bandwidth="1"><BaseURL>{other}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 0\n",
    "a.asx": "[Reference]\nRef1={other}\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_file_that_names_another_opens_no_other(name: str, tmp_path: Path) -> None:
    other = write_audio(tmp_path / "other.wav", tone(1.0, 16_000), 16_000)
    read_at_ns = other.stat().st_atime_ns
    for target in (other, "other.wav", f"file:{other}", f"crypto:{other}"):
        (tmp_path / name).write_text(PLAYLISTS[name].format(other=target))
        with pytest.raises(AudioError, match="not a readable audio file") as caught:
            load_audio(tmp_path / name)
        assert "no playlist" in caught.value.hint
    assert other.stat().st_atime_ns == read_at_ns


@pytest.mark.parametrize(
    "form",
    ["concat:{}", "subfile,,start,0,end,0,,:{}", "http:/{}", "file:{}", "cache:{}", "pipe:0"],
)
def test_a_path_is_never_a_protocol(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not there, it is missing; there, it is read."""
    monkeypatch.chdir(tmp_path)
    write_audio(tmp_path / "other.wav", tone(1.0, 16_000), 16_000)
    path = tmp_path.joinpath(form.format("other.wav")).relative_to(tmp_path)
    with pytest.raises(AudioError, match="does not exist"):
        load_audio(path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(write_audio(tmp_path / "b.wav", tone(0.5, 16_000), 16_000).read_bytes())
    assert len(load_audio(path)) == 8_000


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_suffix(".fifo"))
    path.symlink_to(path.with_suffix(".fifo"))


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_pipe, "is a pipe"),
        (_link_to_a_pipe, "is a pipe"),
        (_link_to_a_device, "is a device"),
        (_socket, "is a socket"),
        (_link_to_itself, "cannot be read"),
    ],
)
def test_what_is_no_regular_file_is_refused_and_nobody_waits(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    make(tmp_path / "a.wav")
    failures: list[AudioError] = []

    def read() -> None:
        with pytest.raises(AudioError, match=words) as caught:
            load_audio(tmp_path / "a.wav")
        failures.append(caught.value)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(2.0)
    assert len(failures) == 1


def test_a_name_with_a_zero_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is no file name"):
        load_audio(tmp_path / "a\0b.wav")


def test_tags_that_say_they_are_gigabytes_are_refused(tmp_path: Path) -> None:
    """FFmpeg would ask for all of that memory before it looked."""
    tag = b"LIST" + b"\xff\xff\xff\x7f" + b"INFO" + b"INAM" + b"\xf0\xff\xff\x7e" + b"x" * 200
    sound = wav_header(16_000, 1, 3_200)
    path = tmp_path / "a.wav"
    path.write_bytes(sound[:36] + tag + sound[36:] + bytes(3_200))
    with pytest.raises(AudioError, match="has a tag that is longer than the file"):
        load_audio(path)


# --- what is a recording, and odd -----------------------------------------------------------


def test_tags_in_another_encoding_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sound, artist = pcm(tone(0.5, 16_000)), "Jörg".encode("latin-1") + b"\0\0"
    tag = b"INFOIART" + len(artist).to_bytes(4, "little") + artist
    header = wav_header(16_000, 1, len(sound))
    path.write_bytes(header + sound + b"LIST" + len(tag).to_bytes(4, "little") + tag)
    with av.open(str(path), metadata_errors="replace") as container:
        assert container.metadata["artist"].startswith("J\ufffd")
    assert len(load_audio(path)) == 8_000


def test_rifx_is_big_endian(tmp_path: Path) -> None:
    samples = tone(0.5, 16_000, channels=2)
    data = pcm(samples, ">i2")
    (tmp_path / "a.wav").write_bytes(wav_header(16_000, 2, len(data), b"RIFX") + data)
    with capture_logs() as logs:
        read = load_audio(tmp_path / "a.wav", channel=1)
    np.testing.assert_allclose(read, samples[:, 1], atol=1e-4)
    (tmp_path / "b.wav").write_bytes(wav_header(16_000, 2, 2 * len(data), b"RIFX") + data)
    assert logs == []
    half = SoundFile(tmp_path / "b.wav")
    assert sum(len(block.samples) for block in half) == 8_000
    assert half.report is not None
    assert half.report.truncated


def test_a_file_that_changes_its_rate_and_channels_goes_on_as_it_began(tmp_path: Path) -> None:
    """A radio's recordings have one stream after the other."""
    content = b""
    for rate_hz, channels in ((16_000, 1), (48_000, 2), (16_000, 1)):
        path = tmp_path / f"{rate_hz}.aac"
        samples = tone(1.0, rate_hz, channels)
        write_audio(path, samples, rate_hz, codec="aac", sample_format="fltp")
        content += path.read_bytes()
    (tmp_path / "a.aac").write_bytes(content)
    read = load_audio(tmp_path / "a.aac")
    assert len(read) == pytest.approx(48_000, abs=5_000)  # what a codec pads, three times
    for second in range(3):
        inner = read[16_000 * second + 6_000 : 16_000 * second + 12_000]
        loudest = int(np.argmax(np.abs(np.fft.rfft(inner))))
        assert min(abs(loudest - 165), abs(loudest - 330)) <= 1  # 440 Hz, or the other channel's


@pytest.mark.parametrize(
    ("name", "codec", "sample_format"),
    [("a.mp3", "libmp3lame", "fltp"), ("a.aac", "aac", "fltp"), ("a.m4a", "aac", "fltp")],
)
def test_a_damaged_packet_costs_what_it_held(
    name: str, codec: str, sample_format: str, tmp_path: Path
) -> None:
    """And is told: decoding goes on after it, and nothing spans the joint."""
    noise = (np.random.default_rng(5).standard_normal((20 * 16_000, 1)) / 8).astype(np.float32)
    path = write_audio(tmp_path / name, noise, 16_000, codec=codec, sample_format=sample_format)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    for first in range(len(content) // 4, 3 * len(content) // 4, len(content) // 10):
        content[first : first + 400] = rng.bytes(400)
    path.write_bytes(content)
    file = SoundFile(path)
    with capture_logs() as logs:
        blocks = list(file)
    seconds = sum(len(block.samples) for block in blocks) / 16_000
    assert file.report is not None
    assert file.report.num_damaged >= 1
    assert file.report.lost_s > 0
    assert seconds + file.report.lost_s == pytest.approx(20.0, abs=1.0)  # as FFmpeg's own command
    assert any(block.after_gap for block in blocks)
    assert "damaged packet(s)" in file.report.shortfall
    assert logs[0]["event"] == "file_damaged"
    assert logs[0]["num_packets"] == file.report.num_damaged


def test_samples_so_large_that_their_sum_is_none_become_no_nans(tmp_path: Path) -> None:
    samples = tone(0.5, 48_000, channels=2)
    samples[5_000:5_010] = 3e38
    path = write_audio(tmp_path / "a.wav", samples, 48_000, codec="pcm_f32le", sample_format="flt")
    assert np.isfinite(load_audio(path)).all()


def test_channels_that_cancel_each_other_are_named(tmp_path: Path) -> None:
    """Stereo with one channel's wires swapped: its mean is silence, and one channel is speech."""
    mono = tone(2.0, 16_000)
    path = write_audio(tmp_path / "a.wav", np.hstack([mono, -mono]), 16_000)
    file = SoundFile(path)
    with capture_logs() as logs:
        list(file)
    assert file.channels_cancel
    assert [log["event"] for log in logs] == ["channels_cancel"]
    assert "audio.channel" in logs[0]["hint"]
    picked = SoundFile(path, 0)
    unlike = SoundFile(write_audio(tmp_path / "b.wav", tone(2.0, 16_000, channels=2), 16_000))
    for fine in (picked, unlike):
        list(fine)
        assert not fine.channels_cancel


def test_mutated_files_are_decoded_or_refused_within_bounds() -> None:
    """The campaign's first seeds; ``make campaign`` goes on from there."""
    figures = campaign(seconds=120, first_seed=0, num_files=1_200)
    assert figures["faults"] == []
    assert figures["files"] == 1_200
    assert {"decoded", "damaged", "refused"} == set(figures["outcomes"])


# --- what has no end ------------------------------------------------------------------------

TERABYTE = 10**12


@pytest.mark.parametrize("num_bytes", [2**32 - 1, 0, 4 * 10**9])
def test_a_recording_of_more_than_a_day_is_refused_before_it_is_decoded(
    num_bytes: int, tmp_path: Path
) -> None:
    """By its header, or by its size where that leaves the length open."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(16_000, 1, min(num_bytes, 2**32 - 37))[:-4])
    with path.open("ab") as file:
        file.write(num_bytes.to_bytes(4, "little"))
        file.truncate(TERABYTE)
    began_s = time.monotonic()
    with pytest.raises(AudioError, match=r"it is \d+ hours long, .* up to 24 are read") as found:
        SoundFile(path).check()
    assert "ffmpeg -i FILE -t 3600" in found.value.hint
    assert time.monotonic() - began_s < 10


def test_a_recording_whose_header_says_nothing_is_counted(tmp_path: Path) -> None:
    path = write_audio(
        tmp_path / "a.aac", tone(3.0, 16_000), 16_000, codec="aac", sample_format="fltp"
    )
    assert sum(len(block.samples) for block in SoundFile(path, longest_s=4.0)) > 3 * 16_000
    with pytest.raises(AudioError, match="goes on after 0 hours, where recordings of up to"):
        list(SoundFile(path, longest_s=2.0))


@pytest.mark.parametrize(
    ("name", "codec", "sample_format"),
    [("a.wav", "pcm_s16le", "s16"), ("a.flac", "flac", "s16"), ("a.mp3", "libmp3lame", "fltp")],
)
def test_nobody_searches_a_terabyte_of_nothing_for_the_next_packet(
    name: str, codec: str, sample_format: str, tmp_path: Path
) -> None:
    """FFmpeg would, for hours and deaf to signals: the audio before it is all there is."""
    path = write_audio(
        tmp_path / name, tone(1.0, 16_000), 16_000, codec=codec, sample_format=sample_format
    )
    with path.open("ab") as file:
        file.truncate(TERABYTE)
    samples = load_audio(path)
    assert len(samples) == pytest.approx(16_000, abs=1_600)


def test_a_codec_that_nothing_decodes_is_named(tmp_path: Path) -> None:
    """A WAV of samples of no bits has no codec at all."""
    path = write_audio(tmp_path / "a.wav", tone(0.1, 16_000), 16_000)
    content = bytearray(path.read_bytes())
    place = content.index(b"fmt ") + 22
    content[place : place + 2] = bytes(2)
    path.write_bytes(content)
    with pytest.raises(AudioError, match="a codec that nothing here decodes"):
        load_audio(path)
