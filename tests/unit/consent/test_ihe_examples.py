"""The published example consents of IHE PCF, under the rules of this server.

Conformance section 15. IHE's examples name three purposes at once, which this server never takes as a permission (S36);
so the table is proven on each of them as the one Consent per purpose that a clinic would write here.
"""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhir_server.consent.decision import Ask, Deny, Permit, Reason, decide
from fhir_server.consent.purposes import ACT_REASON, canonical
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import head

SOURCE = Path(__file__).parents[3].parent / "shared/data/ihe-pcf.ndjson.gz"
DURING, AFTER = datetime(2022, 12, 31, 22, 0, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
TREATMENT, RESEARCH, BREAK_GLASS = "treatment", "research", f"{ACT_REASON}|BTG"
FOO_BAR = "http://example.org/policies/purposeOfUse|FooBar"
PRESSURE, ALCOHOL = ResourceKey("Observation", "ex-bloodPressure"), ResourceKey("Observation", "ex-alcoholUse")
UNLISTED = ResourceKey("Observation", "unlisted")
CLERK, PRACTITIONER = ResourceKey("Practitioner", "ex-clerk"), ResourceKey("Practitioner", "ex-practitioner")
RESEARCHER, PRIVILEGED = ResourceKey("Organization", "ex-org-researcher"), ResourceKey("Group", "ex-privilegedUsers")


def example(name: str) -> Json:
    if not SOURCE.exists():
        pytest.skip("the IHE PCF examples are not beside this checkout")
    with gzip.open(SOURCE) as lines:
        resources = [json.decode(line)["resource"] for line in lines]
    [found] = [resource for resource in resources if resource.get("id") == f"ex-{name}"]
    return {**found, "meta": {**found["meta"], "versionId": "1"}}


def for_one_purpose(consent: Json, purpose: str) -> Json:
    """The same consent with only the purpose that is asked, where it names that."""
    provision = consent["provision"]
    named = [coding for coding in provision.get("purpose", []) if canonical(coding) == purpose]
    return {**consent, "provision": {**provision, "purpose": named}} if named else consent


def verdict(consent: Json, asked: Ask) -> Reason | None:
    decision = decide(asked, [consent], head([consent], patient="ex-patient"))
    return None if isinstance(decision, Permit) else decision.reason


TABLE = [
    ("consent-basic-treat", TREATMENT, PRESSURE, CLERK, DURING, None),
    ("consent-basic-ink", TREATMENT, PRESSURE, CLERK, DURING, None),
    ("consent-basic-treat-infant", TREATMENT, PRESSURE, CLERK, DURING, None),
    ("consent-basic-treat", RESEARCH, PRESSURE, CLERK, DURING, Reason.OTHER_PURPOSE),
    ("consent-basic-reject", TREATMENT, PRESSURE, CLERK, DURING, Reason.REFUSED),
    ("consent-basic-research", TREATMENT, PRESSURE, CLERK, DURING, Reason.OTHER_PURPOSE),
    ("consent-basic-research", RESEARCH, PRESSURE, CLERK, DURING, None),
    ("consent-expired-treat", TREATMENT, PRESSURE, CLERK, DURING, None),
    ("consent-expired-treat", TREATMENT, PRESSURE, CLERK, AFTER, Reason.OUTSIDE_PERIOD),
    ("consent-intermediate-data", TREATMENT, PRESSURE, CLERK, DURING, None),
    ("consent-intermediate-data", TREATMENT, UNLISTED, CLERK, DURING, Reason.NOT_COVERED),
    ("consent-intermediate-not-data", TREATMENT, PRESSURE, CLERK, DURING, None),
    ("consent-intermediate-not-data", TREATMENT, ALCOHOL, CLERK, DURING, Reason.REFUSED),
    ("consent-intermediate-purpose", TREATMENT, PRESSURE, RESEARCHER, DURING, Reason.OTHER_PURPOSE),
    ("consent-intermediate-purpose", FOO_BAR, PRESSURE, RESEARCHER, DURING, None),
    ("consent-intermediate-purpose", FOO_BAR, PRESSURE, CLERK, DURING, Reason.NOT_UNDERSTOOD),
    ("dissent-intermediate-break-glass", TREATMENT, PRESSURE, CLERK, DURING, Reason.REFUSED),
    ("dissent-intermediate-break-glass", BREAK_GLASS, PRESSURE, CLERK, DURING, Reason.REFUSED),
    ("dissent-intermediate-break-glass", BREAK_GLASS, PRESSURE, PRIVILEGED, DURING, None),
]


@pytest.mark.parametrize(("name", "purpose", "resource", "actor", "instant", "expected"), TABLE)
def test_r_pcf_007_r_pcf_011_the_published_table_holds(
    name: str, purpose: str, resource: ResourceKey, actor: ResourceKey, instant: datetime, expected: Reason | None
) -> None:
    consent = for_one_purpose(example(name), purpose)

    assert verdict(consent, Ask("ex-patient", purpose, instant, resource, actor)) is expected


@pytest.mark.parametrize(
    "name",
    [
        "consent-intermediate-timeframe",
        "consent-intermediate-authoredby",
        "consent-intermediate-encounter",
        "consent-advanced-normal",
        "consent-advanced-normal-restricted",
        "consent-advanced-normal-focused-restricted",
        "consent-advanced-normal-focused-psy",
        "consent-advanced-normal-focused-psy-or-sdv",
        "consent-advanced-normal-break-glass-restricted",
    ],
)
def test_a_permission_under_a_restriction_that_is_not_evaluated_is_none(name: str) -> None:
    asked = Ask("ex-patient", TREATMENT, DURING, PRESSURE, PRACTITIONER)

    assert verdict(for_one_purpose(example(name), TREATMENT), asked) is Reason.NOT_UNDERSTOOD


@pytest.mark.parametrize(
    "name",
    [
        "consent-intermediate-not-timeframe",
        "consent-intermediate-not-authoredby",
        "consent-intermediate-not-encounter",
        "consent-advanced-normal-not-restricted",
    ],
)
def test_a_refusal_under_a_restriction_that_is_not_evaluated_refuses_all(name: str) -> None:
    asked = Ask("ex-patient", TREATMENT, DURING, PRESSURE, PRACTITIONER)

    assert verdict(for_one_purpose(example(name), TREATMENT), asked) is Reason.REFUSED


def test_s36_as_published_with_three_purposes_at_once_they_permit_nothing() -> None:
    asked = Ask("ex-patient", TREATMENT, DURING, PRESSURE, CLERK)

    assert verdict(example("consent-basic-treat"), asked) is Reason.NOT_SPECIFIC


def test_a_consent_of_another_patient_permits_nothing() -> None:
    consent = for_one_purpose(example("consent-basic-treat"), TREATMENT)
    decision = decide(Ask("ex-mother", TREATMENT, DURING), [consent], head([consent], patient="ex-mother"))

    assert decision == Deny(Reason.NO_CONSENT)
