"""The door at which a number of the wrong form is refused, and what passes it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.engine.call import ANONYMOUS, Call, Interaction
from fhir_server.engine.change import Change, Kept
from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.professions.body import bodies
from fhir_server.professions.numbering import Numbering
from tests.unit.professions.people import member, number, practitioner, qualification

pytestmark = pytest.mark.anyio
KEY = ResourceKey("Practitioner", "p")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
CALL = Call(Interaction.UPDATE, ANONYMOUS, NOW, "Practitioner", "p")
WRONG = practitioner(qualification("NMC", identifier=[number("NMC", value="nurse")]))


async def taken(resource: Json | None, before: Json | None = None, key: ResourceKey = KEY, **more: Any) -> bool:
    previous = Stored(key, 1, 1, NOW, truth(key, before)) if before else None
    change = Change(key, resource, previous)._replace(**more)
    return await Numbering(bodies()).prepare(CALL, change) is change


@pytest.mark.parametrize("code", ["GMC", "GDC", "NMC"])
async def test_t_28_a_number_of_another_form_is_refused_with_its_rule(code: str) -> None:
    beside = practitioner(identifier=[number(code, value="12-34")])

    with pytest.raises(UnprocessableError) as refused:
        await taken(beside)

    [issue] = refused.value.issues
    assert f"({code.lower()}-number;" in issue.diagnostics
    assert issue.expression == "Practitioner.identifier[0].value"
    assert "12-34" not in issue.diagnostics


async def test_every_place_is_told() -> None:
    bad = practitioner(
        qualification("GMC", identifier=[number("GMC", value="x"), number("GMC")]),
        identifier=[number("GDC", value="x")],
    )

    with pytest.raises(UnprocessableError) as refused:
        await taken(bad)

    assert {one.expression for one in refused.value.issues} == {
        "Practitioner.identifier[0].value",
        "Practitioner.qualification[0].identifier[0].value",
    }


async def test_a_number_of_the_form_and_of_others_passes() -> None:
    assert await taken(member("GMC", "GDC", "NMC", "CNOM"))
    assert await taken(practitioner(identifier=[{"system": "urn:else", "value": "x"}, number("CNOM", value="x")]))
    assert await taken({"resourceType": "Practitioner"})


async def test_what_stood_there_stays_and_what_is_migrated_comes_as_it_was() -> None:
    assert await taken(WRONG, before=WRONG)
    assert await taken(WRONG, kept=Kept(1, 1))
    with pytest.raises(UnprocessableError):
        await taken(WRONG, before=member("NMC"))


async def test_a_deletion_and_other_types_are_not_looked_at() -> None:
    assert await taken(None, before=WRONG)
    assert await taken({**WRONG, "resourceType": "Patient"}, key=ResourceKey("Patient", "p"))
