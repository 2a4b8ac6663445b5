"""Each fixture maps to what is kept beside it, and that is R4. M13: an Appointment from many systems, losses declared.

The fixtures are made from published shapes; none was received from a vendor.
"""

from pathlib import Path

import pytest

from fhir_server.fhir.validation import validate
from mappers.mapping.result import Mapping
from tests.architecture.files import name_of
from tests.mappers.golden import case, cases, named, require_golden

CASES = cases()


def resources(mapping: Mapping, type: str) -> list[dict[str, object]]:
    found = (entry["resource"] for entry in mapping.bundle.get("entry", ()))
    return [resource for resource in found if resource["resourceType"] == type]


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_m13_a_message_maps_to_what_is_kept_beside_it(path: Path) -> None:
    require_golden(path, case(path).mapped())


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_every_resource_of_a_mapping_is_r4_by_the_definitions_and_by_the_models(path: Path) -> None:
    for entry in case(path).mapped().bundle.get("entry", ()):
        resource = entry["resource"]
        if not is_part(resource):
            validate(resource, with_models=True)


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_the_same_message_maps_to_the_same_bundle(path: Path) -> None:
    assert case(path).mapped() == case(path).mapped()


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_every_entry_may_be_sent_again(path: Path) -> None:
    for entry in case(path).mapped().bundle.get("entry", ()):
        request = entry["request"]

        assert request["method"] == "PUT" or "ifNoneExist" in request


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_every_bundle_has_its_origin_by_the_hash_of_the_raw_message(path: Path) -> None:
    given = case(path)

    mapped = given.mapped()

    for origin in resources(mapped, "Provenance"):
        assert given.message.sha256 in str(origin["entity"])
    assert bool(resources(mapped, "Provenance")) == bool(mapped.bundle.get("entry"))


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_no_consent_comes_of_an_opt_in(path: Path) -> None:
    assert not resources(case(path).mapped(), "Consent")


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_a_fixture_says_that_it_never_came_from_a_vendor(path: Path) -> None:
    assert "Never received" in path.read_text()


def test_s115_t42_what_is_lost_is_named_and_what_it_held_is_not() -> None:
    given = named("calendly/invitee-created")

    losses = {loss.path: loss.why for loss in given.mapped().losses}

    assert "Whoever has it" in losses["payload.cancel_url"]
    assert not any("calendly.com/cancellations" in part for pair in losses.items() for part in pair)


def is_part(resource: dict[str, object]) -> bool:
    return "SUBSETTED" in str(resource.get("meta", ""))
