"""What is about one type does not parse the version before of any other: an update would pay for it in vain."""

import pytest

from fhir_server.engine.call import Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey
from fhir_server.privacy.breaches.documenting import Documenting
from fhir_server.privacy.withdrawal import Withdrawal
from tests.fakes.clock import NOW
from tests.unit.engine.calls import call

pytestmark = pytest.mark.anyio

PATIENT = ResourceKey("Patient", "ann")


@pytest.mark.parametrize("step", [Documenting(), Withdrawal(lambda: "new")])
async def test_the_version_before_of_another_type_is_not_parsed(step: Step) -> None:
    before = Stored(PATIENT, 1, 1, NOW, b"no JSON")
    change = Change(PATIENT, {"resourceType": "Patient", "id": "ann"}, before)

    assert await step.prepare(call(Interaction.UPDATE, "Patient", "ann"), change) is change
