"""Which texts in a transaction stand for what it writes."""

import pytest

from fhir_server.engine.bundle_entries import Entry
from fhir_server.engine.bundle_links import Links, claimed_id
from fhir_server.engine.bundle_urls import Target
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey

ROOT, OTHER = "https://old.example/fhir", "https://other.example/fhir"
URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
NEW = ResourceKey("Patient", "new")


def posted(full_url: str, index: int = 0, type: str = "Patient") -> Entry:
    return Entry(index, "POST", Target(type, "", type), resource={"resourceType": type}, full_url=full_url)


def test_r_fhir_021_a_full_url_stands_for_its_resource_everywhere() -> None:
    links = Links.of([(posted(URN), NEW), (posted(""), ResourceKey("Patient", "other"))])

    assert links.within(posted(f"{ROOT}/Patient/9")) == links.within(posted("")) == {URN: "Patient/new"}


def test_r_fhir_021_what_is_relative_is_so_to_the_root_of_its_own_entry() -> None:
    links = Links.of([(posted(f"{ROOT}/Patient/1"), NEW)])

    assert links.within(posted(f"{ROOT}/Observation/2")) == {
        f"{ROOT}/Patient/1": "Patient/new",
        "Patient/1": "Patient/new",
    }
    for elsewhere in (f"{OTHER}/Observation/2", URN, "", f"{ROOT}/deeper/Observation/2"):
        assert "Patient/1" not in links.within(posted(elsewhere))


def test_r_fhir_021_what_keeps_its_id_needs_no_other_name() -> None:
    links = Links.of([(posted(f"{ROOT}/Patient/new"), NEW)])

    assert links.relative == {}


def test_an_event_has_no_name_before_it_is_committed() -> None:
    links = Links.of([(posted(URN, type="AuditEvent"), ResourceKey("AuditEvent", "promised"))])
    about = {"resourceType": "List", "entry": [{"item": {"reference": URN}}]}

    with pytest.raises(UnprocessableError) as refusal:
        links.refuse_log(about)

    assert links.absolute == {}
    assert refusal.value.issues[0].expression == "List.entry[0].item.reference"
    links.refuse_log({"resourceType": "List", "entry": [{"item": {"reference": "List/1"}}]})
    links.refuse_log(None)


@pytest.mark.parametrize(
    ("full_url", "claimed"),
    [
        (f"{ROOT}/Patient/7", "7"),
        (f"{OTHER}/Patient/7", ""),
        (f"{ROOT}/deeper/Patient/7", ""),
        ("Patient/7", ""),
        (URN, ""),
        ("", ""),
    ],
)
def test_only_a_full_url_of_this_server_claims_an_id_on_it(full_url: str, claimed: str) -> None:
    assert claimed_id(posted(full_url), ROOT) == claimed
