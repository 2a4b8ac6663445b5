"""The sections of an International Patient Summary, and which resources stand in each: a table; pure.

https://hl7.org/fhir/uv/ips/STU2/Structure-of-the-International-Patient-Summary.html; R-IPS-003.
"""

from dataclasses import dataclass

from fhir_server.kernel.json import Json

_OVER = frozenset({"inactive", "remission", "resolved"})
_VOID = frozenset({"entered-in-error", "cancelled", "draft", "not-done", "unknown", "refuted"})
_STATUSES = ("status", "clinicalStatus", "verificationStatus")


@dataclass(frozen=True, slots=True)
class Section:
    """`display` is LOINC's name of the code. `categories`: of Observations, those that belong here.

    `is_over`: of Conditions, whether those that are over belong here, or those that are not.
    """

    title: str
    code: str
    display: str
    types: frozenset[str]
    is_required: bool = False
    categories: frozenset[str] = frozenset()
    is_over: bool | None = None

    def takes(self, resource: Json) -> bool:
        """Not what was never so, was called off, or is not yet."""
        if resource["resourceType"] not in self.types or not _VOID.isdisjoint(_statuses(resource)):
            return False
        if self.is_over is not None and self.is_over is _OVER.isdisjoint(_statuses(resource)):
            return False
        observed = resource["resourceType"] == "Observation"
        return not (observed and self.categories.isdisjoint(_categories(resource)))


SECTIONS = (
    Section(
        "Medication Summary",
        "10160-0",
        "History of Medication use Narrative",
        frozenset({"MedicationStatement", "MedicationRequest", "MedicationAdministration", "MedicationDispense"}),
        is_required=True,
    ),
    Section(
        "Allergies and Intolerances",
        "48765-2",
        "Allergies and adverse reactions Document",
        frozenset({"AllergyIntolerance"}),
        is_required=True,
    ),
    Section(
        "Problem List",
        "11450-4",
        "Problem list - Reported",
        frozenset({"Condition"}),
        is_required=True,
        is_over=False,
    ),
    Section("Immunizations", "11369-6", "History of Immunization Narrative", frozenset({"Immunization"})),
    Section("History of Procedures", "47519-4", "History of Procedures Document", frozenset({"Procedure"})),
    Section("Medical Devices", "46264-8", "History of medical device use", frozenset({"DeviceUseStatement"})),
    Section(
        "Results",
        "30954-2",
        "Relevant diagnostic tests/laboratory data Narrative",
        frozenset({"Observation", "DiagnosticReport"}),
        categories=frozenset({"laboratory", "imaging"}),
    ),
    Section(
        "Vital Signs",
        "8716-3",
        "Vital signs",
        frozenset({"Observation"}),
        categories=frozenset({"vital-signs"}),
    ),
    Section(
        "Past Illness History", "11348-0", "History of Past illness Narrative", frozenset({"Condition"}), is_over=True
    ),
    Section("Plan of Care", "18776-5", "Plan of care note", frozenset({"CarePlan"})),
    Section(
        "Social History",
        "29762-2",
        "Social history Narrative",
        frozenset({"Observation"}),
        categories=frozenset({"social-history"}),
    ),
    Section("Alerts", "104605-1", "Alert", frozenset({"Flag"})),
)

TYPES = frozenset[str]().union(*(one.types for one in SECTIONS))


def _statuses(resource: Json) -> set[str]:
    """Whatever says how it stands, as a code or as a concept."""
    found: set[str] = set()
    for name in _STATUSES:
        said = resource.get(name)
        if isinstance(said, str):
            found.add(said)
        elif isinstance(said, dict):
            found |= {str(one.get("code")) for one in said.get("coding", [])}
    return found


def _categories(resource: Json) -> set[str]:
    return {str(one.get("code")) for each in resource.get("category", []) for one in each.get("coding", [])}
