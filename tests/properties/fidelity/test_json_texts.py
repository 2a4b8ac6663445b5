"""JSON text -> parse -> store -> print is the same text, modulo white space and the order of keys (R-FHIR-025)."""

import secrets
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.crypto.seal import NONCE_BYTES, open_sealed, seal
from fhir_server.engine.stored import truth
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.store.clinic import ClinicStore
from tests.contract.clinics import store_on, writing
from tests.fakes.clinic import FakeClinic
from tests.fakes.clock import FakeClock
from tests.properties.fidelity.texts import VALUES, resources, says

pytestmark = pytest.mark.anyio

KEY = ResourceKey("Basic", "b")
SERVERS = ("versionId", "lastUpdated")
"""What the server gives in meta, whatever the client wrote there."""


@settings(max_examples=400, deadline=None)
@given(text=VALUES)
def test_r_fhir_025_a_text_is_parsed_and_printed_as_it_was(text: str) -> None:
    printed = json.encode(json.decode(text.encode()))

    assert says(printed) == says(text)
    assert json.encode(json.decode_trusted(printed)) == printed


@settings(max_examples=150, deadline=None)
@given(text=resources(KEY))
def test_r_fhir_025_a_text_is_sealed_and_opened_as_it_was(text: str) -> None:
    key = DataKey(KeyId(secrets.token_bytes(16)), secrets.token_bytes(32))
    sealed = seal(truth(KEY, json.decode(text.encode())), b"address", key, secrets.token_bytes(NONCE_BYTES))

    opened = open_sealed(sealed, b"address", key)

    assert says(opened, SERVERS) == says(text, SERVERS)


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(resources(KEY), min_size=1, max_size=3))
async def test_r_fhir_025_each_version_in_memory_is_the_text_that_it_was(texts: list[str]) -> None:
    clinic = FakeClinic()
    for text in texts:
        previous = await clinic.resources.read(KEY)
        await clinic.resources.commit([writing(json.decode(text.encode()), previous)])

    for number, text in enumerate(texts, start=1):
        stored = await clinic.resources.read_version(KEY, number)
        assert stored is not None
        assert says(stored.wire, SERVERS) == says(text, SERVERS)
        assert says(json.encode(stored.resource), SERVERS) == says(text, SERVERS)


@pytest.fixture(scope="module")
async def store(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClinicStore]:
    async with store_on(mongo_uri, "test_texts", tmp_path_factory.mktemp("texts"), FakeClock()) as opened:
        yield opened


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(resources(KEY), min_size=5, max_size=15))
async def test_r_fhir_025_what_lies_in_mongodb_is_the_text_that_it_was(store: ClinicStore, texts: list[str]) -> None:
    keys = [ResourceKey("Basic", secrets.token_hex(8)) for _ in texts]
    await store.resources.commit(
        [writing({**json.decode(text.encode()), "id": key.id}) for key, text in zip(keys, texts, strict=True)]
    )

    found = await store.resources.read_many(keys)

    for key, text in zip(keys, texts, strict=True):
        assert says(found[key].wire, SERVERS) == {**says(text, SERVERS), "id": key.id}
