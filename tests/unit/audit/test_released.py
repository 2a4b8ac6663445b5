"""A disclosure to somebody outside, as BALP's profile has it, whoever asked for it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fhir_server.audit.agents import Organization
from fhir_server.audit.released import disclosure
from fhir_server.engine.call import ANONYMOUS, Call, Interaction, Principal, Release
from fhir_server.engine.stored import Stored
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from tests.unit.audit.profiles import faults

SOURCE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source"
NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
DOCTOR = Principal("u-1", "app", "https://issuer.example", "0af7", fhir_user="Practitioner/3", role="practitioner")
RELEASE = Release("Organization/insurer", "HPAYMT", "consent", "ab" * 32)


@pytest.mark.parametrize("principal", [DOCTOR, ANONYMOUS])
@pytest.mark.parametrize("clinic", [None, Organization("Clinique")])
@pytest.mark.parametrize("basis", ["", "Consent/c7/_history/2"])
def test_r_balp_017_a_disclosure_conforms_whoever_asked_for_it(
    principal: Principal, clinic: Organization | None, basis: str
) -> None:
    named = principal is DOCTOR
    call = Call(Interaction.OPERATION, principal, NOW, "Procedure", "p1")
    if named:
        call = replace(call, operation="evidence-pack", request_id="cc6d")
    part = Stored(ResourceKey("Procedure", "p1"), 3, 1, NOW, b"")

    written = json.decode(
        disclosure(call, RELEASE, "7", basis, [part], clinic, "https://fhir.clinic.example/fhir").event("e1", NOW)
    )

    assert faults(written, SOURCE) == []
    whole = json.encode(written)
    assert all(text.encode() in whole for text in ("Procedure/p1/_history/3", "Patient/7", "ab" * 32, "HPAYMT"))
    assert (b"Practitioner/3" in whole, b"Clinique" in whole) == (named, clinic is not None)
    assert (b"Consent/c7/_history/2" in whole) == bool(basis)
