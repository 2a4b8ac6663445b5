"""Whatever a resource looks like and wherever large data stands in it: what is read is what was written."""

import base64
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.engine.attached import written
from fhir_server.engine.change import Change
from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.store import attaching
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import store_on
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.anyio

LEAST = 40
"""Here, so that many resources with much in them take no time; what is large makes no difference to the rest."""
NUMBERS = count()

canonical = st.binary(min_size=1, max_size=200).map(lambda data: base64.b64encode(data).decode())
broken = st.tuples(canonical, st.sampled_from(["\n", "\r\n", " ", "\t"])).map(
    lambda pair: pair[1].join(pair[0][at : at + 8] for at in range(0, len(pair[0]), 8))
)
data = st.one_of(canonical, broken)
text = st.one_of(st.text(max_size=60), st.sampled_from(["\x01", '{"data":""}', '"', "\\", "\u2028", "ÄÖ" * 40]))
names = st.sampled_from(["data", "valueBase64Binary", "hash", "title", "note", "contentType", "é", 'a"b', "0"])


def members(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4))


values = st.recursive(st.one_of(data, text, st.integers(-(2**53), 2**53), st.booleans()), members, max_leaves=6)
large = st.binary(min_size=LEAST, max_size=200).map(lambda data: base64.b64encode(data).decode())
resources = st.builds(
    lambda before, place, data, after: {**before, place: [{"data": data}], **after},
    st.dictionaries(names, values, max_size=4),
    st.sampled_from(["content", "extension", "contained"]),
    large,
    st.dictionaries(names, values, max_size=4),
)


@pytest.fixture(scope="module")
async def store(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClinicStore]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attaching, "MOST_WITHIN", LEAST)
        async with store_on(mongo_uri, "test_large_data", tmp_path_factory.mktemp("large"), FakeClock()) as opened:
            yield opened


async def sent(stored: Stored | None) -> bytes:
    assert stored is not None
    return b"".join([part async for part in written(stored.pieces)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=resources, second=resources)
async def test_what_is_read_is_what_was_written(store: ClinicStore, first: Json, second: Json) -> None:
    key = ResourceKey("Basic", f"b{next(NUMBERS)}")
    bodies = [{"resourceType": "Basic", **first}, {"resourceType": "Basic", **first, **second}]
    answers = []
    for body in bodies:
        [stored] = await store.resources.commit([Change(key, body, await store.resources.read(key))])
        answers.append(stored)

    found = [await store.resources.read_version(key, version) for version in (1, 2)]

    assert [await sent(one) for one in found] == [one.wire for one in answers]
    for one, body in zip(found, bodies, strict=True):
        assert one is not None
        assert one.attached
        whole = await one.whole()
        assert whole.truth == truth(key, body)
        assert sum(len(part) if isinstance(part, bytes) else part.size for part in one.pieces) == len(whole.wire)
