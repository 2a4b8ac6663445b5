"""Text beside a resource: where it belongs survives every way out, and no way out forgets it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.engine.attached import Attached, Path, attached_in, outline, with_attached, written
from fhir_server.engine.stored import Stored, truth, truth_outline
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

pytestmark = pytest.mark.anyio

KEY = ResourceKey("DocumentReference", "7")
AT = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)


class Beside(Attached):
    """Text in memory, handed out in small parts."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = json.encode(text)[1:-1]

    @property
    def size(self) -> int:
        return len(self._text)

    @property
    def length(self) -> int:
        return len(self._text) // 4 * 3

    async def text(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._text), 5):
            yield self._text[at : at + 5]

    async def data(self, start: int, stop: int) -> AsyncIterator[bytes]:
        yield b""[start:stop]


RESOURCE: Json = {
    "resourceType": "DocumentReference",
    "meta": {"extension": [{"url": "urn:x", "valueBase64Binary": "TWV0YQ=="}]},
    "content": [{"attachment": {"title": "é", "data": "Rmlyc3Q="}}, {"attachment": {"data": "U2Vj\nb25k"}}],
    "status": "current",
}
META: Path = ("meta", "extension", 0, "valueBase64Binary")
FIRST: Path = ("content", 0, "attachment", "data")
SECOND: Path = ("content", 1, "attachment", "data")


def at(resource: Any, path: Path) -> Any:
    for step in path:
        resource = resource[step]
    return resource


def beside(resource: Json, *paths: Path) -> Json:
    """The same with the texts at these paths beside it."""
    found: Mapping[Path, Attached] = {path: Beside(at(resource, path)) for path in paths}
    replaced: Json = with_attached(resource, found)
    return replaced


def stored(*paths: Path, resource: Json = RESOURCE) -> Stored:
    found = truth_outline(KEY, beside(resource, *paths))
    return Stored(KEY, 3, 1, AT, found.text, outline=found)


async def sent(one: Stored) -> bytes:
    return b"".join([part async for part in written(one.pieces)])


PLAIN = Stored(KEY, 3, 1, AT, truth(KEY, RESOURCE))


@pytest.mark.parametrize("paths", [(META,), (FIRST,), (SECOND,), (FIRST, SECOND), (SECOND, META, FIRST)])
async def test_the_pieces_are_the_bytes_that_would_have_been_sent_without_it(paths: tuple[Path, ...]) -> None:
    one = stored(*paths)

    assert await sent(one) == PLAIN.wire
    assert sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in one.pieces) == len(PLAIN.wire)
    assert len(one.attached) == len(paths)


async def test_made_whole_it_is_like_any_other() -> None:
    whole = await stored(FIRST, META).whole()

    assert (whole.wire, whole.resource, whole.truth) == (PLAIN.wire, PLAIN.resource, PLAIN.truth)
    assert await whole.whole() is whole


def test_a_resource_without_its_text_is_not_written_out_by_whoever_forgets_it() -> None:
    one = stored(FIRST)

    with pytest.raises(TypeError):
        _ = one.wire
    with pytest.raises(TypeError):
        json.encode(one.resource)
    with pytest.raises(TypeError):
        truth(KEY, one.resource)


def test_a_parsed_resource_has_it_in_its_place_and_all_else_as_it_is() -> None:
    one = stored(FIRST, META)

    assert dict(attached_in(one.resource)).keys() == {FIRST, META}
    assert with_attached(one.resource, {}) is one.resource
    assert one.resource["content"][1] == RESOURCE["content"][1]
    assert one.resource["status"] == "current"
    assert one.resource["meta"]["versionId"] == "3"


async def test_a_part_of_it_is_shown_with_the_text_of_that_part() -> None:
    one = stored(FIRST, SECOND)
    part = {name: value for name, value in one.resource.items() if name != "status"}
    part["content"] = part["content"][1:]

    shown = one.showing(part)

    assert json.decode(await sent(shown))["content"] == RESOURCE["content"][1:]
    assert b"status" not in await sent(shown)
    assert len(shown.attached) == 1


def test_another_truth_in_its_place_has_none_of_the_text() -> None:
    masked = truth(KEY, {"resourceType": "DocumentReference", "status": "current", "content": []})

    one = replace(stored(FIRST, SECOND), truth=masked)

    assert (one.attached, one.pieces) == ((), (one.wire,))
    assert one.resource["content"] == []


@given(words=st.lists(st.text("0123456789abcdef", max_size=64), max_size=5))
async def test_text_that_looks_like_a_mark_is_left_as_it_is(words: list[str]) -> None:
    """Whatever else is in a resource, even the mark of what it would be without this."""
    before = {"resourceType": "DocumentReference", "description": "".join(words), "note": words, "x": {"data": "QUJD"}}
    guessed = outline(beside(before, ("x", "data"))).text.decode()

    for description in (guessed, "".join(words), '""', "\x01"):
        resource = {**before, "description": description}
        found = outline(beside(resource, ("x", "data")))
        assert b"".join([part async for part in written(found.pieces())]) == json.encode(resource)
