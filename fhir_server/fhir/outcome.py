"""Issues as the OperationOutcome that a client reads.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from collections.abc import Sequence

from fhir_server.kernel.errors import Issue
from fhir_server.kernel.json import Json


def operation_outcome(issues: Sequence[Issue]) -> Json:
    """One entry for each issue; none at all is said as an informational one, since R4 asks for at least one."""
    reported = issues or (Issue("informational", "No issues.", severity="information"),)
    return {"resourceType": "OperationOutcome", "issue": [_issue(each) for each in reported]}


def _issue(issue: Issue) -> Json:
    entry: Json = {"severity": issue.severity, "code": issue.code}
    if issue.diagnostics:
        entry["diagnostics"] = issue.diagnostics
    if issue.expression:
        entry["expression"] = [issue.expression]
    return entry
