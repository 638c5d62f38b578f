"""Requests as anybody may write them: read, or refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceguard.control.protocol import (
    MAX_REQUEST_BYTES,
    Request,
    RequestError,
    granted,
    parse_request,
    refused,
)


def test_a_request_has_a_command_an_id_and_parameters() -> None:
    read = parse_request(b'{"id": 3, "command": "watch", "events": ["level"]}\n')
    assert read == Request(request_id=3, command="watch", parameters={"events": ["level"]})
    assert parse_request(b'{"command": "status"}').request_id is None


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"status\n", "not_json"),
        (b"[1]\n", "not_json"),
        (b'{"command": NaN}\n', "not_json"),
        (b"[" * 5000, "not_json"),
        (b"\xff\xfe\n", "not_json"),
        (b" " * (MAX_REQUEST_BYTES + 1), "not_json"),
        (b'{"id": 1}\n', "bad_request"),
        (b'{"id": true, "command": "status"}\n', "bad_request"),
        (b'{"id": "a", "command": "status"}\n', "bad_request"),
        (b'{"id": 9007199254740993, "command": "status"}\n', "bad_request"),
        (b'{"command": {"a": 1}}\n', "bad_request"),
    ],
)
def test_what_is_no_request_is_refused_by_name(line: bytes, name: str) -> None:
    with pytest.raises(RequestError) as refusal:
        parse_request(line)
    assert refusal.value.name == name
    assert json.loads(refused(refusal.value))["error"]["name"] == name


@given(st.binary(max_size=200))
def test_no_bytes_end_in_anything_but_a_request_or_a_refusal(line: bytes) -> None:
    try:
        answer = json.loads(granted(parse_request(line).request_id, {}))
    except RequestError as error:
        answer = json.loads(refused(error))
    assert answer.keys() in ({"id", "ok", "result"}, {"id", "ok", "error"})
