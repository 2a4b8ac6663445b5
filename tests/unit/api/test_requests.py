"""From a request's headers, URL and body to what is understood of it; the rest is refused with a precise status."""

import asyncio
import gzip
from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from fhir_server.api import body, content, formats, incoming, preconditions
from fhir_server.api.content_coding import Unpacking
from fhir_server.engine.call import ANONYMOUS, Interaction, Principal
from fhir_server.kernel.errors import (
    FhirError,
    InvalidRequestError,
    MalformedError,
    NotAcceptableError,
    NotFoundError,
    RangeNotSatisfiableError,
    TooLargeError,
    UnauthenticatedError,
    UnsupportedMediaTypeError,
)
from fhir_server.smart.possession import Shown
from tests.fakes.clinic import BASE
from tests.fakes.clock import FakeClock

FHIR = ("content-type", "application/fhir+json")


def request(
    *headers: tuple[str, str], query: str = "", parts: Sequence[bytes] = (), path: dict[str, str] | None = None
) -> Request:
    """A body in parts; without a last one it is cut off."""
    left = list(parts)

    async def receive() -> Message:
        if not left:
            return {"type": "http.disconnect"}
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/fhir",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "path_params": path or {},
        "state": {"request_id": "r1"},
        "client": ("127.0.0.1", 1),
    }
    return Request(scope, receive)


def json_body(*parts: bytes, type: str = "application/fhir+json", most: int = 100) -> object:
    return asyncio.run(body.json_body(request(("content-type", type), parts=parts), most))


@pytest.mark.parametrize(
    "type",
    [
        "application/fhir+json",
        "application/json",
        "text/json",
        "Application/FHIR+JSON; charset=UTF-8",
        'application/fhir+json;fhirVersion=4.0;charset="utf-8"',
    ],
)
def test_json_is_taken_under_its_names(type: str) -> None:
    assert json_body(b'{"a":', b"1}", type=type) == {"a": 1}


@pytest.mark.parametrize(
    "type",
    ["", "application/fhir+xml", "text/plain", "application/fhir+json; charset=latin-1", "application/jsonx", "*/*"],
)
def test_another_type_is_415(type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        json_body(b"{}", type=type)


def test_a_body_has_a_limit_however_it_is_cut() -> None:
    at_limit = b'"' + b"x" * 98 + b'"'
    assert json_body(at_limit) == "x" * 98

    for parts in ([at_limit + b" "], [at_limit, b" "], [b" "] * 101, [b"x" * 1000, b"y"]):
        with pytest.raises(TooLargeError):
            json_body(*parts)


def test_an_empty_or_cut_body_is_malformed() -> None:
    with pytest.raises(MalformedError):
        json_body(b"")
    with pytest.raises(MalformedError):
        asyncio.run(body.json_body(request(FHIR, parts=()), 100))


def test_an_operation_needs_no_body_but_a_body_needs_a_type() -> None:
    assert asyncio.run(body.optional_json_body(request(parts=[b""]), 10)) is None
    assert asyncio.run(body.optional_json_body(request(FHIR, parts=[b"{}"]), 10)) == {}
    with pytest.raises(UnsupportedMediaTypeError):
        asyncio.run(body.optional_json_body(request(parts=[b"{}"]), 10))


def test_a_form_is_read_as_pairs_in_order() -> None:
    typed = ("content-type", "application/x-www-form-urlencoded")

    pairs, text = asyncio.run(body.form_body(request(typed, parts=[b"family=M%C3%BCller&family=&_id=7"]), 100))

    assert pairs == [("family", "M\u00fcller"), ("family", ""), ("_id", "7")]
    assert text == "family=M%C3%BCller&family=&_id=7"
    assert asyncio.run(body.form_body(request(parts=[b""]), 100)) == ([], "")
    for bad in (b"family=%ff", "family=\u00fc".encode()):
        with pytest.raises(MalformedError):
            asyncio.run(body.form_body(request(typed, parts=[bad]), 100))
    with pytest.raises(InvalidRequestError):
        asyncio.run(body.form_body(request(typed, parts=[b"&".join([b"a=1"] * 201)]), 1000))


def test_the_query_is_read_as_pairs_in_order() -> None:
    assert body.query_pairs(request(query="name=x&name=y&_id=")) == [("name", "x"), ("name", "y"), ("_id", "")]
    with pytest.raises(MalformedError):
        body.query_pairs(request(query="name=%ff"))
    with pytest.raises(InvalidRequestError):
        body.query_pairs(request(query="&".join(["a=1"] * 201)))


@pytest.mark.parametrize(("tag", "version"), [('W/"3"', 3), ('"3"', 3), ("3", 3), (' W/"12"', 12)])
def test_if_match_names_a_version(tag: str, version: int) -> None:
    assert preconditions.if_match(request(("if-match", tag))) == version
    assert preconditions.if_match(request()) is None


@pytest.mark.parametrize("tag", ["*", "", 'W/"x"', '"1", "2"', "-1", f'W/"{"9" * 5_000}"'])
def test_if_match_of_another_kind_is_400(tag: str) -> None:
    with pytest.raises(InvalidRequestError):
        preconditions.if_match(request(("if-match", tag)))


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([], ""),
        ([("accept", "*/*")], ""),
        ([("accept", "application/*")], ""),
        ([("accept", "text/html, application/fhir+json;q=0.9")], ""),
        ([("accept", "text/html")], "_format=json"),
        ([], "_format=application/fhir+json"),
        ([], "_format=application%2Ffhir%2Bjson"),
    ],
)
def test_json_is_answered_where_it_is_taken(headers: list[tuple[str, str]], query: str) -> None:
    formats.require_json_answer(request(*headers, query=query))


@pytest.mark.parametrize(
    ("headers", "query"),
    [([("accept", "application/fhir+xml")], ""), ([], "_format=xml"), ([("accept", "*/*")], "_format=ttl")],
)
def test_another_format_is_406(headers: list[tuple[str, str]], query: str) -> None:
    with pytest.raises(NotAcceptableError):
        formats.require_json_answer(request(*headers, query=query))


def test_a_request_id_is_repeated_only_where_it_is_harmless() -> None:
    assert incoming.request_id_of("abc-1.2_3") == "abc-1.2_3"
    for bad in (None, "", "a b", "a\r\nSet-Cookie: x", "x" * 65, "\u00e9", "<script>"):
        made = incoming.request_id_of(bad)
        assert made != bad
        assert len(made) == 32


@pytest.mark.parametrize(
    "path",
    [
        {"type": "Nothing"},
        {"type": "patient"},
        {"type": "Patient", "id": "a b"},
        {"type": "Patient", "id": "x" * 65},
        {"type": "Patient", "id": "7", "version": "x"},
        {"type": "Patient", "id": "7", "version": "9" * 5_000},
        {"type": "Patient", "id": "7", "version": "\u0662"},
        {"type": "$where"},
    ],
)
def test_a_target_that_cannot_be_is_404(path: dict[str, str]) -> None:
    asked = request(path=path)

    with pytest.raises(NotFoundError):
        incoming.require_target(asked, incoming.call_of(asked, Interaction.VREAD, FakeClock()))


def test_a_target_is_taken_from_the_url() -> None:
    asked = request(path={"type": "Patient", "id": "7", "version": "2"})

    call = incoming.call_of(asked, Interaction.VREAD, FakeClock())

    incoming.require_target(asked, call)
    assert (call.type, call.id, call.version, call.request_id, call.client_address) == (
        "Patient",
        "7",
        2,
        "r1",
        "127.0.0.1",
    )


async def nobody(_shown: Shown, _now: datetime) -> Principal:
    return ANONYMOUS


@pytest.mark.anyio
async def test_only_one_authorization_header_counts() -> None:
    asked = request(("authorization", "Bearer a"), ("authorization", "Bearer b"))

    with pytest.raises(UnauthenticatedError):
        await incoming.authenticated(asked, nobody, FakeClock(), BASE)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, (0, 100)),
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        (" bytes=1-2 ", (1, 3)),
        ("bytes=5-3", (0, 100)),
        ("bytes=-", (0, 100)),
        ("bytes=0-1,5-6", (0, 100)),
        ("items=0-1", (0, 100)),
        ("bytes=a-b", (0, 100)),
        ("bytes=\u0661-\u0662", (0, 100)),
        (f"bytes={'9' * 5_000}-", (0, 100)),
    ],
)
def test_a_range_is_one_range_of_bytes_or_nothing(asked: str | None, expected: tuple[int, int]) -> None:
    assert content._range(asked, 100) == expected


@pytest.mark.parametrize(
    ("asked", "length"), [("bytes=100-", 100), ("bytes=100-101", 100), ("bytes=-0", 100), ("bytes=0-0", 0)]
)
def test_a_range_outside_is_416(asked: str, length: int) -> None:
    with pytest.raises(RangeNotSatisfiableError) as refusal:
        content._range(asked, length)

    assert isinstance(refusal.value, FhirError)
    assert refusal.value.length == length


def test_a_packed_body_has_a_limit_however_it_is_cut() -> None:
    gzipped, at_limit = ("content-encoding", "gzip"), b'"' + b"x" * 98 + b'"'
    for size in (1, 7, 1000):
        packed = gzip.compress(at_limit)
        parts = [packed[start : start + size] for start in range(0, len(packed), size)]
        assert asyncio.run(body.json_body(request(FHIR, gzipped, parts=parts), 100)) == "x" * 98
    for too_large in (
        gzip.compress(at_limit + b" "),
        gzip.compress(b" " * 10_000_000),
        gzip.compress(b"x") + b"y" * 900,
    ):
        with pytest.raises(TooLargeError):
            asyncio.run(body.json_body(request(FHIR, gzipped, parts=[too_large]), 100))


def test_what_follows_the_packed_is_refused_however_it_is_cut() -> None:
    packed = gzip.compress(b"{}")
    for parts in ([packed + b"x"], [packed, b"x"], [packed, packed], [packed[:-1], packed[-1:] + b"\0"]):
        with pytest.raises(MalformedError):
            asyncio.run(body.json_body(request(FHIR, ("content-encoding", "gzip"), parts=parts), 100))
    assert asyncio.run(body.json_body(request(FHIR, ("content-encoding", "gzip"), parts=[packed, b""]), 100)) == {}


@given(st.binary(max_size=600_000), st.integers(1, 70_000))
@settings(max_examples=40, deadline=None)
def test_whatever_was_packed_comes_out_again(content: bytes, size: int) -> None:
    packed, packing = gzip.compress(content), Unpacking()

    pieces = [piece for at in range(0, len(packed), size) for piece in packing.pieces(packed[at : at + size])]

    packing.require_end()
    assert b"".join(pieces) == content
    assert all(len(piece) <= 1 << 18 for piece in pieces)


@given(st.binary(max_size=2_000))
def test_what_was_not_packed_is_malformed_or_ends_too_early(content: bytes) -> None:
    def unpack() -> None:
        packing = Unpacking()
        for _ in packing.pieces(content):
            """None comes out whole."""
        packing.require_end()

    with pytest.raises(MalformedError):
        unpack()
