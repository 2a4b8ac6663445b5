"""A composite search parameter is refused where it is written, at the element that is wrong."""

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.defining import Defining
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from tests.unit.engine.calls import call, running

pytestmark = pytest.mark.anyio

COMPOSITE: Json = {
    "resourceType": "SearchParameter",
    "url": "http://clinic.example/SearchParameter/x",
    "name": "X",
    "status": "active",
    "description": "Two at once.",
    "code": "x",
    "base": ["Patient"],
    "type": "composite",
    "expression": "Patient",
    "component": [
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-gender", "expression": "gender"},
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate", "expression": "birthDate"},
    ],
}


async def test_what_is_well_formed_is_stored_and_so_is_what_is_no_composite() -> None:
    clinic = running(Defining())

    for resource in (COMPOSITE, {**COMPOSITE, "type": "token", "component": []}, {"resourceType": "Patient"}):
        given = {name: value for name, value in resource.items() if value}
        await clinic.engine.create(call(Interaction.CREATE, given["resourceType"]), given)


async def test_what_is_ill_formed_is_refused_where_it_is_wrong() -> None:
    clinic = running(Defining())
    wrong = {**COMPOSITE, "component": [{**COMPOSITE["component"][0], "expression": "gendre"}, *COMPOSITE["component"]]}

    with pytest.raises(UnprocessableError) as refused:
        await clinic.engine.create(call(Interaction.CREATE, "SearchParameter"), wrong)

    [issue] = refused.value.issues
    assert "has no element gendre" in issue.diagnostics
    assert issue.expression == "SearchParameter.component[0].expression"
