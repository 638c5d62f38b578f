"""Which device is meant, and what the callback does with what it is given."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from voiceguard.audio.config import AudioConfig
from voiceguard.audio.devices import DeviceDescription, DeviceGoneError, find_device
from voiceguard.audio.portaudio import Capture, _start
from voiceguard.audio.sound_server import ServerSource
from voiceguard.clock import SystemClock
from voiceguard.errors import DeviceError


def described(
    index: int, name: str, *, host_api: str = "ALSA", default: bool = False, channels: int = 2
) -> DeviceDescription:
    return DeviceDescription(
        index=index,
        name=name,
        host_api=host_api,
        num_channels=channels,
        default_rate_hz=44_100,
        is_default=default,
    )


DEVICES = [
    described(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)"),
    described(2, "USB PnP Audio (hw:1,0)", channels=1),
    described(3, "USB Webcam (hw:2,0)"),
    described(5, "pulse", default=True, channels=32),
    described(6, "default"),
    described(9, "USB Webcam (hw:2,0)", host_api="JACK"),
]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [(None, 5), (3, 3), ("pulse", 5), ("PNP", 2), ("webcam", 3), ("alc257", 0)],
)
def test_a_device_is_meant_by_number_name_or_part_of_one(
    wanted: str | int | None, index: int
) -> None:
    """The webcam is there twice: the host API of the default device is preferred."""
    assert find_device(DEVICES, wanted).index == index


def test_without_a_default_the_first_device_is_meant() -> None:
    assert find_device(DEVICES[:2], None).index == 0


def test_a_name_that_fits_several_lists_them_and_waiting_would_not_help() -> None:
    with pytest.raises(DeviceError, match=r'2 "USB PnP.*3 "USB Webcam') as caught:
        find_device(DEVICES, "usb")
    assert not isinstance(caught.value, DeviceGoneError)


@pytest.mark.parametrize("wanted", ["Røde", 7, "hw:9"])
def test_a_device_that_is_not_there_may_come(wanted: str | int) -> None:
    with pytest.raises(DeviceGoneError, match=r"found: 0 .*pulse"):
        find_device(DEVICES, wanted)
    with pytest.raises(DeviceGoneError, match="sees no device"):
        find_device([], None)


@pytest.mark.parametrize(
    ("device", "config", "rate_hz", "num_channels"),
    [
        (DEVICES[0], AudioConfig(), 44_100, 2),
        (DEVICES[0], AudioConfig(channel=0), 44_100, 1),
        (DEVICES[0], AudioConfig(channel=1), 44_100, 2),
        (DEVICES[0], AudioConfig(rate_hz=48_000, num_channels=4), 48_000, 4),
        (DEVICES[3], AudioConfig(), 16_000, 1),
        (DEVICES[3], AudioConfig(rate_hz=44_100, channel=1), 44_100, 2),
    ],
)
def test_a_device_is_opened_as_it_is_and_a_sound_server_as_is_needed(
    device: DeviceDescription, config: AudioConfig, rate_hz: int, num_channels: int
) -> None:
    capture = Capture(device, config, wake=lambda: None, clock=SystemClock())
    assert (capture.rate_hz, capture.num_channels) == (rate_hz, num_channels)


@dataclass
class Flags:
    """What sounddevice passes to the callback."""

    input_overflow: bool = False

    def __bool__(self) -> bool:
        return self.input_overflow


def test_the_callback_copies_stamps_and_wakes() -> None:
    wakes: list[None] = []
    capture = Capture(
        DEVICES[1],
        AudioConfig(rate_hz=16_000),
        wake=lambda: wakes.append(None),
        clock=SystemClock(),
    )
    block = np.full((1_600, 1), 0.5, dtype=np.float32)
    capture.on_block(block, 1_600, None, Flags())
    block[:] = 0.0  # PortAudio uses its memory again
    stretch = capture.ring.read(1_600)
    assert stretch is not None
    assert stretch.samples.min() == 0.5
    assert len(wakes) == 1
    assert capture.last_block_at_s is not None
    assert capture.first_block_at_s == pytest.approx(capture.last_block_at_s - 0.1)
    assert stretch.written_at_s == capture.last_block_at_s


def test_an_overflow_is_counted_and_a_gap_as_long_as_the_clock_says() -> None:
    capture = Capture(
        DEVICES[1], AudioConfig(rate_hz=16_000), wake=lambda: None, clock=SystemClock()
    )
    block = np.ones((1_600, 1), dtype=np.float32)
    capture.on_block(block, 1_600, None, Flags())
    assert capture.last_block_at_s is not None
    capture.last_block_at_s -= 0.6  # as if 0.6 s had passed
    capture.on_block(block, 1_600, None, Flags(input_overflow=True))
    capture.ring.read(1_600)
    after = capture.ring.read(1_600)
    assert after is not None
    assert after.after_gap
    assert after.first_sample == pytest.approx(1_600 + 0.5 * 16_000, abs=800)
    assert capture.ring.counts().num_overflows == 1


def test_where_no_process_can_be_started_the_device_may_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    config = AudioConfig()
    source = ServerSource(name="mic", positions=(1, 2), is_muted=False)
    capture = Capture(DEVICES[3], config, lambda: None, SystemClock(), source)
    with pytest.raises(DeviceGoneError, match=r"no process can be started .*No such file"):
        _start(sys, capture, config)


def test_the_end_of_the_stream_wakes_the_reader() -> None:
    wakes: list[None] = []
    capture = Capture(
        DEVICES[1], AudioConfig(), wake=lambda: wakes.append(None), clock=SystemClock()
    )
    capture.on_end()
    assert capture.ended
    assert wakes == [None]
