from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.fhir.compartments import memberships, subjects
from fhir_server.kernel.json import Json
from tests.unit.fhir.real_input import examples, synthea

BASE = "https://clinic.example/fhir"


def observation(**more: Any) -> Json:
    return {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/7"}, **more}


def test_a_resource_lies_in_the_compartments_of_whom_it_names() -> None:
    resource = observation(
        encounter={"reference": "Encounter/9/_history/2"},
        performer=[{"reference": "Practitioner/3"}, {"reference": "Organization/4"}],
    )

    assert memberships(resource) == ("Encounter/9", "Patient/7", "Practitioner/3")


def test_the_focus_of_a_compartment_lies_in_its_own() -> None:
    assert memberships({"resourceType": "Patient", "id": "7"}) == ("Patient/7",)
    assert memberships({"resourceType": "Device", "id": "7"}) == ("Device/7",)
    assert memberships({"resourceType": "Organization", "id": "7"}) == ()


def test_a_linked_patient_lies_in_both_compartments() -> None:
    linked = {"resourceType": "Patient", "id": "7", "link": [{"other": {"reference": "Patient/8"}, "type": "seealso"}]}

    assert memberships(linked) == ("Patient/7", "Patient/8")


def test_what_is_referred_to_elsewhere_makes_no_compartment() -> None:
    resource = observation(
        subject={"reference": "https://other.example/Patient/7"}, performer=[{"reference": "urn:uuid:1"}]
    )

    assert memberships(resource, BASE) == ()
    assert subjects(resource, BASE) == ()


def test_the_servers_own_address_is_no_elsewhere() -> None:
    resource = observation(subject={"reference": f"{BASE}/Patient/8"})

    assert memberships(resource, BASE) == ("Patient/8",)
    assert subjects(resource, BASE) == ("8",)
    assert subjects(observation(subject={"reference": f"{BASE}Patient/8"}), BASE) == ()


def test_subjects_are_found_in_contained_resources_and_extensions() -> None:
    resource = observation(
        contained=[{"resourceType": "Group", "member": [{"entity": {"reference": "Patient/8"}}]}],
        extension=[{"url": "urn:x", "extension": [{"url": "y", "valueReference": {"reference": "Patient/9"}}]}],
        _status={"extension": [{"url": "urn:z", "valueReference": {"reference": "Patient/10"}}]},
    )

    assert subjects(resource) == ("10", "7", "8", "9")


def test_a_patient_names_itself_and_a_contained_one_names_nobody() -> None:
    assert subjects({"resourceType": "Patient", "id": "7"}) == ("7",)
    assert subjects(observation(contained=[{"resourceType": "Patient", "id": "p"}])) == ("7",)


def test_the_patients_that_a_bundle_carries_are_its_subjects() -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "7"}}]}

    assert subjects(bundle) == ("7",)


def _slow_subjects(node: Any, *, held: bool) -> set[str]:
    if isinstance(node, list):
        return {found for each in node for found in _slow_subjects(each, held=held)}
    if not isinstance(node, dict):
        return set()
    found = {node["id"]} if node.get("resourceType") == "Patient" and not held else set()
    kind, _, id = str(node.get("reference", "")).partition("/")
    if kind == "Patient" and id:
        found.add(id)
    return found.union(*(_slow_subjects(value, held=name == "contained") for name, value in node.items()))


_REFERENCES = st.sampled_from(["Patient/1", "Patient/2", "Group/1", "#1", "urn:uuid:1", "Patient"])
_NODES = st.recursive(
    st.fixed_dictionaries({"reference": _REFERENCES})
    | st.fixed_dictionaries({"resourceType": st.just("Patient"), "id": st.sampled_from(["3", "4"])}),
    lambda inner: st.fixed_dictionaries(
        {}, optional={name: st.lists(inner, max_size=3) for name in ("contained", "entry")} | {"part": inner}
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_NODES)
def test_subjects_agree_with_a_plain_search(node: Json) -> None:
    assert set(subjects(node)) == _slow_subjects(node, held=False)


def test_every_real_resource_has_its_compartments() -> None:
    for resource in (*synthea(), *examples().values()):
        named = {each.partition("/")[2] for each in memberships(resource) if each.startswith("Patient/")}
        assert named <= set(subjects(resource))
