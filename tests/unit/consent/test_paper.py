"""A scan of what was signed on paper says where the paper is."""

import pytest

from fhir_server.consent.paper import ORIGINAL, Paper, without_original
from fhir_server.consent.signing import WITHDRAW_LINK
from fhir_server.engine.call import Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.classification import RECEIPT_SYSTEM, SIGNED_FORM
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.engine.calls import call

pytestmark = pytest.mark.anyio

CALL = call(Interaction.CREATE, "DocumentReference")
KEY = ResourceKey("DocumentReference", "d")


def scan(*extensions: Json, code: str = SIGNED_FORM) -> Json:
    kind = {"coding": [{"system": RECEIPT_SYSTEM, "code": code}]}
    return {"resourceType": "DocumentReference", "status": "current", "type": kind, "extension": list(extensions)}


@pytest.mark.parametrize(
    "place", [{"valueString": "Archive 2, shelf 14"}, {"valueReference": {"reference": "Location/archive"}}]
)
async def test_t_69_a_scan_says_where_the_original_lies(place: Json) -> None:
    document = scan({"url": ORIGINAL, **place})

    change = Change(KEY, document)

    assert await Paper().prepare(CALL, change) is change
    assert list(without_original(document)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        [{"url": ORIGINAL, "valueBoolean": True}],
        [{"url": ORIGINAL, "valueReference": {"reference": "Patient/ann"}}],
        [{"url": ORIGINAL, "valueReference": {"display": "over there"}}],
        [{"url": ORIGINAL, "valueString": "here"}, {"url": ORIGINAL, "valueString": "there"}],
    ],
)
async def test_t_69_a_place_is_one_place(wrong: list[Json]) -> None:
    with pytest.raises(UnprocessableError, match="original"):
        await Paper().prepare(CALL, Change(KEY, scan(*wrong)))


async def test_t_69_a_scan_that_does_not_say_it_is_warned_of() -> None:
    [warned] = without_original(scan())
    assert (warned.severity, warned.expression) == ("warning", "DocumentReference.extension")
    assert list(without_original(scan({"url": WITHDRAW_LINK, "valueString": "x"}))) == [], "signed here, not on paper"
    assert list(without_original(scan(code="other"))) == []
    assert list(without_original({"resourceType": "Patient"})) == []


async def test_what_is_no_document_is_let_be() -> None:
    for change in (
        Change(KEY, None),
        Change(KEY, scan(code="other")),
        Change(ResourceKey("Patient", "p"), {"resourceType": "Patient"}),
    ):
        assert await Paper().prepare(CALL, change) is change
