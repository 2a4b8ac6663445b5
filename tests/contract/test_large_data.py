"""What every ResourceStore promises of large base64 data: it comes back as it came, wherever it stood."""

import base64
import secrets
from functools import cache

import pytest

from fhir_server.engine.attached import written
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.kernel import json
from fhir_server.kernel.errors import StaleVersionError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.parse import parse
from fhir_server.store.attaching import MOST_WITHIN
from tests.contract.clinics import Opened, deleting, put, writing

pytestmark = pytest.mark.anyio

KEY = ResourceKey("DocumentReference", "d1")


@cache
def large(size: int = 900_000) -> str:
    """Text that is larger than what stays in a resource."""
    return base64.b64encode(secrets.token_bytes(size)).decode()


def report(data: str, title: str = "Report", of: str = "ann") -> Json:
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "subject": {"reference": f"Patient/{of}"},
        "description": title,
        "content": [{"attachment": {"contentType": "application/pdf", "data": data, "title": title}}],
    }


async def read(clinic: Opened, key: ResourceKey = KEY) -> Stored:
    found = await clinic.resources.read(key)
    assert found is not None
    return found


async def sent(stored: Stored) -> Json:
    """As it goes to the wire, without what the server adds."""
    value: Json = json.decode(b"".join([part async for part in written(stored.pieces)]))
    del value["meta"]
    return value


@pytest.mark.parametrize("more", [-4, 0, 4, 1_000_000])
@pytest.mark.parametrize("line", [0, 76])
async def test_text_around_the_limit_comes_back_to_the_letter(clinic: Opened, more: int, line: int) -> None:
    text = "QUJD" * ((MOST_WITHIN + more) // 4)
    lines = "\r\n".join(text[at : at + line] for at in range(0, len(text), line)) if line else text
    resource = report(lines)

    [made] = await put(clinic, resource)

    assert await sent(made) == resource
    assert await sent(await read(clinic)) == resource
    assert (await (await read(clinic)).whole()).wire == made.wire


async def test_every_version_keeps_the_data_that_it_had(clinic: Opened) -> None:
    first, second = report(large()), report(large(1_000_000), "Corrected")
    third = {**second, "description": "Only words"}

    await put(clinic, first, second, third)

    versions = [await clinic.resources.read_version(KEY, number) for number in (1, 2, 3)]
    assert [await sent(one) for one in versions if one] == [first, second, third]
    listed = await clinic.resources.versions({"DocumentReference"}, "d1", Window(), None, 10)
    assert [await sent(one) for one in listed] == [third, second, first]


async def test_a_search_finds_it_by_the_rest_and_gives_all_of_it(clinic: Opened) -> None:
    resource = report(large())
    await put(clinic, resource)

    found = await clinic.resources.find(parse("DocumentReference", [("status", "current")]), None, 10)

    assert [await sent(one) for one in found.matches] == [resource]


async def test_two_large_elements_contained_in_extensions_and_in_a_stored_bundle(clinic: Opened) -> None:
    one, other = large(), large(1_000_000)
    binary = {"resourceType": "Binary", "id": "inside", "contentType": "application/pdf", "data": other}
    attachment = {"url": "urn:x", "valueAttachment": {"contentType": "application/pdf", "data": one}}
    plain = {"url": "urn:y", "valueBase64Binary": other}
    organization = {"resourceType": "Organization", "id": "o", "name": "x", "extension": [attachment, plain]}
    resource = {**report(one), "contained": [organization]}
    bundle = {
        "resourceType": "Bundle",
        "id": "b1",
        "type": "collection",
        "entry": [{"resource": binary}, {"resource": resource}],
    }
    await put(clinic, resource, bundle)

    assert await sent(await read(clinic)) == resource
    assert await sent(await read(clinic, ResourceKey("Bundle", "b1"))) == bundle


async def test_another_patient_gets_the_data_with_the_document(clinic: Opened) -> None:
    """The key changes with the patient, so the data is sealed anew."""
    before, after = report(large()), report(large(), of="ben")

    await put(clinic, before, after)

    assert await sent(await read(clinic)) == after
    first = await clinic.resources.read_version(KEY, 1)
    assert first
    assert await sent(first) == before


async def test_a_deletion_has_none_and_a_later_version_has_it_again(clinic: Opened) -> None:
    resource = report(large())
    await put(clinic, resource)

    [gone] = await clinic.resources.commit([deleting(await read(clinic))])
    await put(clinic, resource)

    assert (gone.wire, gone.attached, (await read(clinic)).version) == (b"", (), 3)
    assert await sent(await read(clinic)) == resource


async def test_a_write_that_comes_too_late_changes_nothing(clinic: Opened) -> None:
    await put(clinic, report(large()))
    stale = await read(clinic)
    await put(clinic, report("QUJD", "Short"))

    with pytest.raises(StaleVersionError):
        await clinic.resources.commit([writing(report(large(1_000_000)), stale)])

    assert await sent(await read(clinic)) == report("QUJD", "Short")
