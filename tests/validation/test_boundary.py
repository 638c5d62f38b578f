"""Whatever goes wrong in a handler of outside data is a refusal by name."""

from __future__ import annotations

import pytest

from voiceguard.errors import StoreKeyError, VoiceprintError
from voiceguard.validation.boundary import refusing


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), OverflowError("1e400"), MemoryError(), KeyError("name")]
)
def test_what_nobody_expected_is_a_refusal_that_names_the_thing(error: Exception) -> None:
    with (
        pytest.raises(VoiceprintError, match="the voiceprint of 'anna' can't be used") as caught,
        refusing("the voiceprint of 'anna'", VoiceprintError, hint="remove it"),
    ):
        raise error
    assert type(error).__name__ in str(caught.value)
    assert caught.value.hint == "remove it"


@pytest.mark.parametrize(
    "error", [StoreKeyError("no key"), FileNotFoundError(), KeyboardInterrupt()]
)
def test_what_says_itself_what_is_wrong_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, refusing("it", VoiceprintError):
        raise error
    assert caught.value is error
