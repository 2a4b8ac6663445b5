"""The published example consents of IHE PCF, as they stand, on the published data.

Conformance section 15. The table is that of the consents alone, so it is asked under the implicit policy `deny`; what
the other policies add is beside it.
"""

import gzip
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from fhir_server.consent.decision import decide
from fhir_server.consent.facts import facts_of
from fhir_server.consent.law import law_of
from fhir_server.consent.purposes import ACT_REASON
from fhir_server.consent.question import Ask, Deny, Matter, Permit, Reason
from fhir_server.engine.change import CareBasis
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import head

SOURCE = Path(__file__).parents[3].parent / "shared/data/ihe-pcf.ndjson.gz"
DURING, AFTER = datetime(2022, 12, 31, 22, 0, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
TREATMENT, RESEARCH, BREAK_GLASS = "treatment", "research", f"{ACT_REASON}|BTG"
FOO_BAR = "http://example.org/policies/purposeOfUse|FooBar"
NORMAL_2022, RESTRICTED_2022, NORMAL_2004 = "Observation/bp-2022", "Observation/ex-alcoholUse", "Observation/ex-weight"
MENTAL, VIOLENCE, UNLISTED = "Observation/psy", "Observation/sdv", "Observation/unlisted"
BY_ANOTHER, ELSEWHERE = "Observation/by-practitioner", "Observation/other-encounter"
CLERK, PRACTITIONER = ResourceKey("Practitioner", "ex-clerk"), ResourceKey("Practitioner", "ex-practitioner")
RESEARCHER, PRIVILEGED = ResourceKey("Organization", "ex-org-researcher"), ResourceKey("Group", "ex-privilegedUsers")


@cache
def published() -> dict[str, Json]:
    if not SOURCE.exists():
        pytest.skip("the IHE PCF examples are not beside this checkout")
    with gzip.open(SOURCE) as lines:
        resources = [json.decode(line)["resource"] for line in lines]
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in resources}


def example(name: str) -> Json:
    found = published()[f"Consent/ex-{name}"]
    return {**found, "meta": {**found["meta"], "versionId": "1"}}


def data(reference: str) -> Json:
    """Published, or one of these with something else in it."""
    base = published()["Observation/ex-weight"]
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    code = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    made: dict[str, Json] = {
        NORMAL_2022: {**base, "effectiveDateTime": "2022-06-13"},
        MENTAL: {**base, "meta": {"security": [label, {"system": code, "code": "PSY"}]}},
        VIOLENCE: {**base, "meta": {"security": [label, {"system": code, "code": "SDV"}]}},
        UNLISTED: base,
        BY_ANOTHER: {**base, "performer": [{"reference": "Practitioner/ex-practitioner"}]},
        ELSEWHERE: {**base, "encounter": {"reference": "Encounter/another"}},
    }
    return made.get(reference) or published()[reference]


def asked(purpose: str, resource: str, actor: ResourceKey, instant: datetime = DURING) -> Ask:
    type, id = resource.split("/")
    facts = facts_of(data(resource))
    return Ask("ex-patient", purpose, instant, ResourceKey(type, id), actor, Matter.RECORD, facts)


def verdict(consent: Json, ask: Ask, policy: str = "deny") -> Reason | None:
    decision = decide(ask, [consent], head([consent], patient="ex-patient"), law_of("eu", policy))
    return None if isinstance(decision, Permit) else decision.reason


OTHER, COVERED, REFUSED = Reason.OTHER_PURPOSE, Reason.NOT_COVERED, Reason.REFUSED
TABLE = [
    *[
        (name, purpose, resource, CLERK, None)
        for name in ("consent-basic-treat", "consent-basic-ink", "consent-basic-treat-infant")
        for purpose in (TREATMENT, f"{ACT_REASON}|HPAYMT")
        for resource in (NORMAL_2022, RESTRICTED_2022, NORMAL_2004, BY_ANOTHER, ELSEWHERE)
    ],
    ("consent-basic-treat", RESEARCH, NORMAL_2022, CLERK, OTHER),
    ("consent-basic-reject", TREATMENT, NORMAL_2022, CLERK, REFUSED),
    ("consent-basic-reject", TREATMENT, RESTRICTED_2022, PRACTITIONER, REFUSED),
    ("consent-basic-reject", TREATMENT, "Encounter/ex-encounter", CLERK, REFUSED),
    ("consent-basic-research", TREATMENT, NORMAL_2022, CLERK, OTHER),
    ("consent-basic-research", RESEARCH, NORMAL_2022, CLERK, None),
    ("consent-expired-treat", TREATMENT, NORMAL_2022, CLERK, None),
    ("consent-intermediate-timeframe", TREATMENT, NORMAL_2022, CLERK, None),
    ("consent-intermediate-timeframe", TREATMENT, NORMAL_2004, CLERK, COVERED),
    ("consent-intermediate-not-timeframe", TREATMENT, NORMAL_2022, CLERK, REFUSED),
    ("consent-intermediate-not-timeframe", TREATMENT, NORMAL_2004, CLERK, None),
    ("consent-intermediate-data", TREATMENT, RESTRICTED_2022, CLERK, None),
    ("consent-intermediate-data", TREATMENT, "Encounter/ex-encounter", CLERK, None),
    ("consent-intermediate-data", TREATMENT, UNLISTED, CLERK, COVERED),
    ("consent-intermediate-not-data", TREATMENT, NORMAL_2004, CLERK, None),
    ("consent-intermediate-not-data", TREATMENT, RESTRICTED_2022, CLERK, REFUSED),
    ("consent-intermediate-authoredby", TREATMENT, BY_ANOTHER, CLERK, None),
    ("consent-intermediate-authoredby", TREATMENT, NORMAL_2004, CLERK, COVERED),
    ("consent-intermediate-not-authoredby", TREATMENT, BY_ANOTHER, CLERK, REFUSED),
    ("consent-intermediate-not-authoredby", TREATMENT, NORMAL_2004, CLERK, None),
    ("consent-intermediate-encounter", TREATMENT, NORMAL_2004, CLERK, None),
    ("consent-intermediate-encounter", TREATMENT, "Encounter/ex-encounter", CLERK, None),
    ("consent-intermediate-encounter", TREATMENT, ELSEWHERE, CLERK, COVERED),
    ("consent-intermediate-not-encounter", TREATMENT, NORMAL_2004, CLERK, REFUSED),
    ("consent-intermediate-not-encounter", TREATMENT, ELSEWHERE, CLERK, None),
    ("consent-intermediate-purpose", TREATMENT, NORMAL_2022, RESEARCHER, OTHER),
    ("consent-intermediate-purpose", FOO_BAR, NORMAL_2022, RESEARCHER, None),
    ("consent-intermediate-purpose", FOO_BAR, NORMAL_2022, CLERK, Reason.NOT_UNDERSTOOD),
    ("consent-advanced-normal", TREATMENT, NORMAL_2022, CLERK, None),
    ("consent-advanced-normal", TREATMENT, RESTRICTED_2022, CLERK, COVERED),
    ("consent-advanced-normal-restricted", TREATMENT, NORMAL_2022, CLERK, None),
    ("consent-advanced-normal-restricted", TREATMENT, RESTRICTED_2022, CLERK, None),
    ("consent-advanced-normal-not-restricted", TREATMENT, NORMAL_2022, CLERK, None),
    ("consent-advanced-normal-not-restricted", TREATMENT, RESTRICTED_2022, CLERK, REFUSED),
    ("consent-advanced-normal-focused-restricted", TREATMENT, NORMAL_2022, CLERK, None),
    ("consent-advanced-normal-focused-restricted", TREATMENT, RESTRICTED_2022, CLERK, COVERED),
    ("consent-advanced-normal-focused-restricted", TREATMENT, RESTRICTED_2022, PRACTITIONER, None),
    ("consent-advanced-normal-focused-psy", TREATMENT, NORMAL_2022, CLERK, None),
    ("consent-advanced-normal-focused-psy", TREATMENT, MENTAL, PRACTITIONER, None),
    ("consent-advanced-normal-focused-psy", TREATMENT, MENTAL, CLERK, COVERED),
    ("consent-advanced-normal-focused-psy", TREATMENT, VIOLENCE, PRACTITIONER, COVERED),
    ("consent-advanced-normal-focused-psy-or-sdv", TREATMENT, VIOLENCE, PRACTITIONER, None),
    ("consent-advanced-normal-focused-psy-or-sdv", TREATMENT, MENTAL, PRACTITIONER, None),
    ("consent-advanced-normal-focused-psy-or-sdv", TREATMENT, RESTRICTED_2022, PRACTITIONER, COVERED),
    ("consent-advanced-normal-break-glass-restricted", TREATMENT, NORMAL_2022, PRACTITIONER, None),
    ("consent-advanced-normal-break-glass-restricted", TREATMENT, RESTRICTED_2022, PRIVILEGED, COVERED),
    ("consent-advanced-normal-break-glass-restricted", BREAK_GLASS, RESTRICTED_2022, PRIVILEGED, None),
    ("consent-advanced-normal-break-glass-restricted", BREAK_GLASS, RESTRICTED_2022, CLERK, OTHER),
    ("dissent-intermediate-break-glass", TREATMENT, NORMAL_2022, CLERK, REFUSED),
    ("dissent-intermediate-break-glass", BREAK_GLASS, NORMAL_2022, CLERK, REFUSED),
    ("dissent-intermediate-break-glass", BREAK_GLASS, NORMAL_2022, PRIVILEGED, None),
]


@pytest.mark.parametrize(("name", "purpose", "resource", "actor", "expected"), TABLE)
def test_r_pcf_003_r_pcf_004_r_pcf_011_the_published_table_holds(
    name: str, purpose: str, resource: str, actor: ResourceKey, expected: Reason | None
) -> None:
    assert verdict(example(name), asked(purpose, resource, actor)) is expected


def test_r_pcf_007_an_expired_consent_leaves_what_the_implicit_policy_says() -> None:
    expired, ask = example("consent-expired-treat"), asked(TREATMENT, NORMAL_2022, CLERK, AFTER)

    assert verdict(expired, ask, "deny") is Reason.OUTSIDE_PERIOD
    assert verdict(expired, ask, "all-normal") is None


@pytest.mark.parametrize("policy", ["basic-normal", "all-normal", "break-glass-only", "deny"])
def test_r_pcf_006_a_consent_on_file_stands_above_the_implicit_policy(policy: str) -> None:
    refused = asked(TREATMENT, NORMAL_2022, CLERK)

    assert verdict(example("consent-basic-reject"), refused, policy) is REFUSED
    assert verdict(example("consent-basic-treat"), refused, policy) is None
    assert verdict(example("consent-advanced-normal"), asked(TREATMENT, RESTRICTED_2022, CLERK), policy) is COVERED


def test_r_pcf_006_a_consent_for_another_purpose_leaves_care_to_the_implicit_policy() -> None:
    decision = decide(
        asked(TREATMENT, NORMAL_2022, CLERK),
        [example("consent-basic-research")],
        head([example("consent-basic-research")], patient="ex-patient"),
    )

    assert decision == Permit(CareBasis("all-normal", "ex-patient", 41, silent=True))


def test_a_consent_of_another_patient_permits_nothing() -> None:
    consent = example("consent-basic-treat")
    decision = decide(Ask("ex-mother", TREATMENT, DURING), [consent], head([consent], patient="ex-mother"))

    assert decision == Deny(Reason.NO_CONSENT)
