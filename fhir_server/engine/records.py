"""Step: what is kept of a patient bears a label, and can be read without software.

Requirements S3, S4: records and treatments are restricted unless the client says otherwise; T54: records are clear.
https://hl7.org/fhir/R4/security-labels.html#hcs, https://hl7.org/fhir/R4/narrative.html
"""

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.fhir.narration import with_narrative
from fhir_server.kernel.json import Json

_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_RESTRICTED: Json = {"system": _SYSTEM, "code": "R", "display": "restricted"}

RESTRICTED = frozenset(
    {
        *("AllergyIntolerance", "CarePlan", "ClinicalImpression", "Composition", "Condition", "DiagnosticReport"),
        *("DocumentReference", "Encounter", "FamilyMemberHistory", "Immunization", "MedicationAdministration"),
        *("MedicationDispense", "MedicationRequest", "MedicationStatement", "Procedure", "QuestionnaireResponse"),
    }
)
"""Medical records and histories of treatment. Not Observation: IHE PCF takes one without a label for normal."""

_WITHOUT_TEXT = frozenset({"AuditEvent", "Binary", "Bundle", "Parameters"})
"""The log is kept as it was sent; the others have no narrative in R4."""


class Records(Step):
    """Adds to what names a patient, and alters nothing that a client wrote itself."""

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.resource is None or not change.subjects or change.key.type in _WITHOUT_TEXT:
            return change
        labelled = _labelled(change.resource) if change.key.type in RESTRICTED else change.resource
        return change.with_resource(with_narrative(labelled))


def _labelled(resource: Json) -> Json:
    """Restricted, where no other confidentiality is stated."""
    meta = resource.get("meta", {})
    labels = meta.get("security", [])
    if any(label.get("system") == _SYSTEM for label in labels):
        return resource
    return {**resource, "meta": {**meta, "security": [*labels, _RESTRICTED]}}
