"""Messages cut short, with fields of other kinds, deep, huge, or of noise: mapped or refused, never anything else."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.kernel import json
from mappers.hl7v2.messages import read as read_hl7v2
from mappers.hl7v2.parsing import parsed
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import MOST_BYTES
from mappers.mapping.message import Message, Tables
from tests.mappers.golden import RECEIVED, Case, cases
from tests.mappers.golden import case as loaded

CASES = [loaded(path) for path in cases()]
JSON_CASES = [case for case in CASES if case.message.raw.startswith(b"{")]
TEXT_CASES = [case for case in CASES if not case.message.raw.startswith(b"{")]
WEIRD: list[Any] = [None, "", " ", 0, -1, 10**30, True, [], {}, [[]], [None], [{}], {"": {}}, "x" * 70_000, "\0|^~"]
BYTES = [b"", b"|", b"^", b"\\", b"\r", b":", b";", b"\xff", b"9", b"\0"]
NO_MESSAGES = {
    "endless list": b"[" * 100_000,
    "deep": b'{"a":' * 50 + b"1" + b"}" * 50,
    "huge": b"x" * (MOST_BYTES + 1),
    "two": b'{"a":1}' * 2,
    "a text": b'"text"',
    "another encoding": b"\xff\xfe{}",
}


def mapped_or_refused(case: Case, raw: bytes) -> None:
    with suppress(UnusableError):
        replace(case, message=replace(case.message, raw=raw)).mapped()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], weird: Any) -> Any:
    if not path:
        return weird
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = put(copied[path[0]], path[1:], weird)
    return copied


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_message_that_is_cut_short_is_mapped_or_refused(case: Case) -> None:
    raw = case.message.raw

    for part in range(0, len(raw), max(1, len(raw) // 25)):
        mapped_or_refused(case, raw[:part])


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_field_of_another_kind_is_mapped_or_refused(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(JSON_CASES))
    body = json.decode(case.message.raw)
    place, weird = data.draw(st.sampled_from(places(body))), data.draw(st.sampled_from(WEIRD))

    mapped_or_refused(case, json.encode(put(body, place, weird)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_text_with_bytes_changed_is_mapped_or_refused(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(TEXT_CASES))
    raw = bytearray(case.message.raw)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(BYTES))

    mapped_or_refused(case, bytes(raw))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_noise_after_a_header_is_mapped_or_refused(noise: bytes) -> None:
    for raw in (noise, b"MSH" + noise, b"MSH|^~\\&|A|B|||20260301||SIU^S12|1|P|2.5\r" + noise):
        try:
            parsed(raw)
            read_hl7v2(Message(raw, RECEIVED), Tables())
        except UnusableError:
            continue


@pytest.mark.parametrize("raw", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    for case in JSON_CASES[:3]:
        with pytest.raises(UnusableError):
            replace(case, message=replace(case.message, raw=raw)).mapped()


def test_a_segment_storm_is_refused() -> None:
    with pytest.raises(UnusableError):
        parsed(b"MSH|^~\\&|A|B|||20260301||SIU^S12|1|P|2.5\r" + b"NTE|1\r" * 6_000)


def test_entities_of_xml_mean_nothing_here() -> None:
    """No mapper reads XML: what is sent as such is refused as not JSON."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'

    for case in JSON_CASES[:3]:
        with pytest.raises(UnusableError, match="not JSON"):
            replace(case, message=replace(case.message, raw=bomb)).mapped()
