"""base64 comes back as the text it was, in parts of any size, and as the data it stands for, in any range."""

import base64
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.primitives import is_base64
from fhir_server.kernel import json
from fhir_server.store.base64_text import Plain, decoded, encoded, escaped, plain

pytestmark = pytest.mark.anyio

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Text as R4 allows it: with blanks between groups of four, and with padding bits that mean nothing."""
    groups = draw(st.lists(st.text(ALPHABET, min_size=4, max_size=4), max_size=20))
    end = draw(st.sampled_from(["", "AA==", "AB==", "A/==", "AAA=", "AAB="]))
    blanks = draw(st.sampled_from(["", "\n", "\r\n", " ", "\t \n"]))
    return blanks.join([*groups, end]).strip() or "AAAA"


async def parts(content: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def whole(found: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in found])


async def again(kept: Plain, size: int) -> bytes:
    content = parts(kept.content, size)
    return await whole(encoded(content) if kept.decoded else escaped(content))


@given(text=texts(), size=st.integers(1, 9))
async def test_text_comes_back_as_it_was(text: str, size: int) -> None:
    assert is_base64(text)

    kept = plain(text)

    assert await again(kept, size) == json.encode(text)[1:-1]
    assert kept.size == len(json.encode(text)) - 2
    assert kept.length == len(base64.b64decode(text))


@given(text=texts(), size=st.integers(1, 9), start=st.integers(0, 70), more=st.integers(0, 70))
async def test_any_range_of_the_data_comes_back(text: str, size: int, start: int, more: int) -> None:
    kept, data = plain(text), base64.b64decode(text)
    stop = min(start + more, len(data))

    found = parts(kept.content, size) if kept.decoded else decoded(parts(kept.content, size), start, stop)

    expected = data if kept.decoded else data[start:stop]
    assert await whole(found) == expected


@given(text=texts(), other=texts())
def test_only_the_same_text_has_the_same_key(text: str, other: str) -> None:
    assert (plain(text).content_key == plain(other).content_key) == (text == other)


@given(data=st.binary(min_size=1, max_size=100))
def test_what_encoding_gives_is_kept_as_data(data: bytes) -> None:
    kept = plain(base64.b64encode(data).decode())

    assert (kept.decoded, kept.content) == (True, data)


@pytest.mark.parametrize("text", ["AB==", "AAB=", "AAAA\nAAAA", "AAAA ", "AA==AAAA", "AAA", "Ä" * 4, "A*==", "AAA" * 5])
def test_what_encoding_would_not_give_is_kept_as_it_came(text: str) -> None:
    kept = plain(text)

    assert (kept.decoded, kept.content) == (False, text.encode())


@pytest.mark.parametrize("size", [262_143, 262_144, 262_145, 786_431, 786_432, 786_433])
def test_where_it_is_cut_for_decoding_makes_no_difference(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)

    kept = plain(base64.b64encode(data).decode())

    assert (kept.decoded, kept.content) == (True, data)


def test_padding_in_the_middle_where_it_is_cut_is_seen() -> None:
    cut = 4 << 16
    text = "A" * (cut - 4) + "AA==" + "AAAA"

    assert not plain(text).decoded
