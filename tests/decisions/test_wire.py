"""The published form of a decision."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import voiceguard.decisions.wire
from tests.fakes import altered
from tests.mqtt.decisions import make_decision
from voiceguard.decisions.result import Decision
from voiceguard.decisions.wire import decision_payload, iso_utc, to_json
from voiceguard.types import SpeakerScore


def test_every_field_of_a_decision_is_published_and_documented() -> None:
    """Nothing is forgotten on the wire, nor in the table that people read."""
    payload = decision_payload(make_decision())
    figures = {name for name in dir(Decision) if not name.startswith("_")} - {"judgement"}
    assert payload.keys() == figures | {"schema"}
    documented = re.findall(
        r"^\| `(\w+)` \|", voiceguard.decisions.wire.__doc__ or "", re.MULTILINE
    )
    assert documented == list(payload)
    figures = {each.name for each in dataclasses.fields(SpeakerScore)} - {"display_name"}
    assert payload["scores"][0].keys() == figures | {"name"}


def test_values_are_json_rounded_and_utc() -> None:
    """What a consumer reads back."""
    payload = json.loads(to_json(decision_payload(make_decision(revokes="d0"))))
    assert payload["schema"] == 1
    assert payload["outcome"] == "accepted"
    assert payload["scores"][0] == {
        "speaker": "alice",
        "name": "alice",
        "cosine": 0.7123,
        "normalised": 4.123,
        "llr": 9.877,
    }
    assert payload["decided_at"] == "2026-11-05T12:00:00.000Z"
    assert payload["expires_at"] == "2026-11-05T12:00:05.000Z"
    assert payload["p_fa"] == 0.001
    assert payload["revokes"] == "d0"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_becomes_null(value: float) -> None:
    """Strict JSON has no NaN; consumers would refuse the whole message."""
    decision = altered(make_decision(), snr_db=value, accept_llr=value)
    payload = json.loads(to_json(decision_payload(decision)))
    assert payload["snr_db"] is None
    assert payload["accept_llr"] is None


@given(st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1)), st.integers(-12, 14))  # noqa: DTZ001
def test_times_come_back_as_the_same_moment_never_later(moment: datetime, hours: int) -> None:
    """Any time zone becomes UTC, cut to the millisecond."""
    local = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    text = iso_utc(local)
    assert text.endswith("Z")
    assert timedelta(0) <= local - datetime.fromisoformat(text) < timedelta(milliseconds=1)
