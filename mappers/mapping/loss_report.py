"""The loss report: an OperationOutcome that names each field of the source that was not carried.

https://hl7.org/fhir/R4/operationoutcome.html. Names of fields, never what they held.
"""

from collections.abc import Sequence

from mappers.mapping.json_text import Json
from mappers.mapping.result import Loss


def loss_report(losses: Sequence[Loss]) -> Json:
    """With no loss, one issue that says so: an outcome has at least one."""
    issues = [
        {"severity": "information", "code": "not-supported", "details": {"text": loss.why}, "diagnostics": loss.path}
        for loss in losses
    ]
    everything = {"severity": "information", "code": "informational", "details": {"text": "Every field was carried."}}
    return {"resourceType": "OperationOutcome", "issue": issues or [everything]}
