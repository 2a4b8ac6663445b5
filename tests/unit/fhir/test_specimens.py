"""No element of R4 is refused wrongly: each as each of its types, in every type that is served."""

from collections.abc import Iterator

import pytest

from fhir_server.fhir.data import read
from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.faults import Fault
from fhir_server.fhir.structure import structure_issues
from fhir_server.fhir.validation import validate
from fhir_server.kernel.json import decode, encode
from tests.unit.fhir.specimens import as_each_type, elements, faults, largest, property_of, smallest

NEED_COMPANY = """age-1 ait-2 app-2 app-4 bdl-1 ces-1 cnt-3 con-4 cpb-16 dis-1 dom-3 drq-1 drq-2 eld-4 eld-16 eld-17
eld-19 eld-22 fhs-2 gol-1 grp-1 inv-1 inv-2 mrp-1 msq-5 msq-6 opd-2 opd-3 prr-1 qty-3 que-10 sdf-18 sev-1 smp-1 spd-1
spd-2 tcp-5 tim-1 tim-2 tim-6 tim-7 tim-9 trd-1 tst-1 tst-2 tst-10 vsd-9 vsd-10"""
"""The invariants by which some element may not stand where only what is required stands beside it."""


def served() -> Iterator[str]:
    """Every type and backbone element in which something may stand."""
    for name, each in read("types").items():
        of = name.partition(".")[0]
        concrete = each["kind"] in {"resource", "complex-type", "backbone"} and "abstract" not in each
        if concrete and (of in served_types() or read("types")[of]["kind"] != "resource"):
            yield name


def refused(type_name: str) -> Iterator[Fault]:
    for name, element in elements(type_name).items():
        others = {property_of(name, each) for each in element["type"]}
        rest = {key: each for key, each in smallest(type_name).items() if key not in others}
        for member in as_each_type(type_name, name, element):
            yield from faults(type_name, {**rest, **member})


def test_every_element_is_taken_as_each_of_its_types_unless_a_rule_wants_it_in_company() -> None:
    found = [each for type_name in served() for each in refused(type_name)]

    assert {each.code for each in found} == {"invariant"}
    assert {each.says.partition(":")[0] for each in found} == set(NEED_COMPANY.split())


@pytest.mark.parametrize("type_name", sorted(served_types()))
def test_a_resource_with_all_that_fits_is_valid(type_name: str) -> None:
    resource = largest(type_name)

    assert len(resource) > len(elements(type_name)) / 2
    validate(decode(encode(resource)))


def test_the_models_find_no_fault_in_what_the_definitions_allow() -> None:
    found = {type_name: structure_issues(largest(type_name)) for type_name in sorted(served_types())}

    assert {
        name: [(each.code, each.expression) for each in each_found] for name, each_found in found.items() if each_found
    } == {}
