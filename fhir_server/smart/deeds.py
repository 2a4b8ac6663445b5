"""Which letter of a scope each interaction needs.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html; R-SMART-047.
"""

from collections.abc import Mapping

from fhir_server.engine.call import Call, Interaction

_LETTER: Mapping[Interaction, str] = {
    Interaction.CREATE: "c",
    Interaction.READ: "r",
    Interaction.VREAD: "r",
    Interaction.HISTORY_INSTANCE: "r",
    Interaction.UPDATE: "u",
    Interaction.PATCH: "u",
    Interaction.DELETE: "d",
    Interaction.SEARCH_TYPE: "s",
    Interaction.SEARCH_SYSTEM: "s",
    Interaction.HISTORY_TYPE: "s",
    Interaction.HISTORY_SYSTEM: "s",
}
_LETTER_OF_OPERATION: Mapping[str, str] = {
    "$book": "c",
    "$break-glass": "r",
    "$breach-notification": "r",
    "$breach-scope": "r",
    "$capture-session": "c",
    "$compare": "r",
    "$compliance-report": "s",
    "$erase": "d",
    "$evidence-pack": "r",
    "$export-my-data": "r",
    "$health-link": "r",
    "$hold": "c",
    "$regulator-export": "s",
    "$reversibility-export": "s",
    "$insurance-check": "r",
    "$lot-patients": "s",
    "$lot-recall": "s",
    "$lots": "r",
    "$professional-check": "r",
    "$propose-areas": "r",
    "$rendition": "r",
    "$share": "r",
    "$rights-request": "r",
    "$summary": "r",
    "$timeline": "s",
}
"""Of the others each changes what it is asked of. What is made of a photo needs the letter c as well."""


def deed_of(call: Call) -> str:
    """The letter, or `$operation`; empty for what no scope is about."""
    if call.interaction is Interaction.OPERATION:
        return f"${call.operation}"
    return _LETTER.get(call.interaction, "")


def letter_of(deed: str) -> str:
    """The letter that a scope must have; empty for none."""
    return _LETTER_OF_OPERATION.get(deed, "u") if deed.startswith("$") else deed
