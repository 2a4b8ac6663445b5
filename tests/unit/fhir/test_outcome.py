from fhir_server.fhir.outcome import operation_outcome
from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import Issue


def test_an_outcome_carries_each_issue_and_is_itself_valid() -> None:
    outcome = operation_outcome([Issue("value", "Not a valid date.", "Patient.birthDate"), Issue("login", "")])

    validate(outcome, with_models=True)
    assert outcome["issue"] == [
        {
            "severity": "error",
            "code": "value",
            "diagnostics": "Not a valid date.",
            "expression": ["Patient.birthDate"],
        },
        {"severity": "error", "code": "login"},
    ]


def test_no_issue_is_said_too_since_an_outcome_is_never_empty() -> None:
    outcome = operation_outcome([])

    validate(outcome)
    assert outcome["issue"] == [{"severity": "information", "code": "informational", "diagnostics": "No issues."}]
