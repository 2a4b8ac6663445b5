"""What a photograph lacks by the policy that it names; and when it was taken, beside the treatment."""

from typing import Any

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.change import Change
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.ordering import Ordering
from fhir_server.media.photo_policy import lacking, policies
from fhir_server.media.protocol import PROTOCOL, definitions, require_protocol
from fhir_server.media.vocabulary import PHOTO_POLICY, RENDITION, TIMEPOINT
from tests.fakes.clinic import FakeClinic
from tests.unit.engine.calls import call

CALL = call(Interaction.CREATE, "Media")
NEWEST = list(policies())[-1]


def photo(*extensions: Json, **more: Any) -> Json:
    url = {"contentType": "image/jpeg", "url": "Binary/x"}
    found = {"resourceType": "Media", "status": "completed", "subject": {"reference": "Patient/ann"}, "content": url}
    return {**found, **({"extension": list(extensions)} if extensions else {}), **more}


def by(policy: str) -> Json:
    return {"url": PHOTO_POLICY, "valueCanonical": policy}


def at(timepoint: str) -> Json:
    return {"url": TIMEPOINT, "valueCodeableConcept": {"coding": [{"code": timepoint}]}}


def whole(policy: str = NEWEST) -> Json:
    """As the policy asks for."""
    noted = [{"url": url, PROTOCOL[url]: {"text": "noted"}} for url in policies()[NEWEST].extensions]
    elements = {"view": {"text": "front"}, "bodySite": {"text": "face"}, "createdDateTime": "2026-03-14"}
    return photo(by(policy), *noted, partOf=[{"reference": "Procedure/p"}], **elements)


def told(media: Json) -> list[str]:
    found = list(lacking(media))
    assert {one.severity for one in found} <= {"warning"}
    return [one.diagnostics for one in found]


def test_s_87_nothing_is_said_of_a_photo_with_all_that_the_policy_asks_for() -> None:
    assert told(whole()) == []


@pytest.mark.parametrize("element", ["view", "bodySite", "createdDateTime"])
def test_s_87_what_is_not_noted_is_warned_of(element: str) -> None:
    assert told({name: value for name, value in whole().items() if name != element}) == [
        f"The photo policy asks for {element}."
    ]


@pytest.mark.parametrize("url", policies()[NEWEST].extensions)
def test_s_87_so_is_each_extension(url: str) -> None:
    media = whole()
    less = {**media, "extension": [one for one in media["extension"] if one["url"] != url]}

    assert told(less) == [f"The photo policy asks for the extension {url}."]


def test_t_2_t_100_a_photo_names_the_version_of_the_policy_by_which_it_was_taken() -> None:
    media = whole()
    unnamed = {**media, "extension": media["extension"][1:]}

    assert told(unnamed) == ["The photograph names no version of the photo policy."]
    assert told(whole("urn:other|7")) == ["This version of the photo policy is not known here."]
    assert [one.version for one in policies().values()] == ["1"]
    assert PHOTO_POLICY in {entry["resource"].get("url") for entry in definitions()["entry"]}
    with pytest.raises(UnprocessableError, match="valueCanonical"):
        require_protocol(photo({"url": PHOTO_POLICY, "valueString": "1"}))


def test_t_18_a_photo_with_a_timepoint_is_part_of_a_procedure() -> None:
    said = "A photograph with a timepoint is part of a Procedure."
    for part in ([], [{"reference": "CarePlan/c"}], [{"display": "somewhere"}]):
        assert told({**whole(), "partOf": part}) == [said]


@pytest.mark.parametrize(
    "other",
    [
        {"resourceType": "Observation", "subject": {"reference": "Patient/ann"}},
        photo(subject={"reference": "Practitioner/eve"}),
        {name: value for name, value in photo().items() if name != "subject"},
        photo({"url": RENDITION, "valueCode": "thumbnail"}),
        photo(meta={"tag": [{"system": "urn:aesthetic-fhir-server:tag", "code": "simulated"}]}),
        photo(meta={"tag": [{"system": "urn:aesthetic-fhir-server:tag", "code": "imported"}]}),
    ],
)
def test_nothing_is_asked_of_what_was_not_taken_here(other: Json) -> None:
    assert told(other) == []


async def prepared(media: Json, performed: Json, *, deleted: bool = False) -> Change:
    clinic, key = FakeClinic(), ResourceKey("Procedure", "p")
    subject = {"reference": "Patient/ann"}
    procedure = {"resourceType": "Procedure", "id": "p", "status": "completed", "subject": subject, **performed}
    [stored] = await clinic.resources.commit([Change(key, procedure, None, ("ann",))])
    if deleted:
        await clinic.resources.commit([Change(key, None, stored, ("ann",))])
    change = Change(ResourceKey("Media", "m"), media, None, ("ann",))
    assert await Ordering(clinic.resources).prepare(CALL, change) is change
    return change


def taken(timepoint: str, when: str | None = "2026-03-14T10:00:00Z", part: str = "Procedure/p") -> Json:
    media = photo(at(timepoint), partOf=[{"reference": part}])
    return {**media, "createdDateTime": when} if when else media


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("media", "performed"),
    [
        (taken("before"), {"performedDateTime": "2026-03-14T09:00:00Z"}),
        (taken("before"), {"performedPeriod": {"start": "2026-03-14T09:00:00Z", "end": "2026-03-14T11:00:00Z"}}),
        (taken("before"), {"performedDateTime": "2026-03-13"}),
        (taken("after"), {"performedDateTime": "2026-03-14T11:00:00Z"}),
    ],
)
async def test_t_13_a_photo_that_was_not_taken_at_its_timepoint_is_refused(media: Json, performed: Json) -> None:
    with pytest.raises(UnprocessableError, match="timepoint"):
        await prepared(media, performed)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("media", "performed"),
    [
        (taken("before"), {"performedDateTime": "2026-03-14T11:00:00Z"}),
        (taken("after"), {"performedDateTime": "2026-03-14T09:00:00Z"}),
        (taken("before"), {"performedDateTime": "2026-03-14"}),
        (taken("during"), {"performedDateTime": "2026-03-13"}),
        (taken("before", None), {"performedDateTime": "2026-03-13"}),
        (taken("before"), {}),
        (taken("before"), {"performedString": "last year"}),
        (taken("before", part="CarePlan/p"), {"performedDateTime": "2026-03-13"}),
        (photo(createdDateTime="2026-03-14"), {"performedDateTime": "2026-03-13"}),
    ],
)
async def test_t_13_what_may_be_so_is_let_be(media: Json, performed: Json) -> None:
    await prepared(media, performed)


@pytest.mark.anyio
async def test_a_treatment_that_is_gone_orders_nothing() -> None:
    await prepared(taken("before"), {"performedDateTime": "2026-03-13"}, deleted=True)
    clinic, key = FakeClinic(), ResourceKey("Media", "m")
    for change in (Change(key, None), Change(ResourceKey("Observation", "o"), {"resourceType": "Observation"})):
        assert await Ordering(clinic.resources).prepare(CALL, change) is change
