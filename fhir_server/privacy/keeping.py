"""Step: a photo of a patient, a Consent and the evidence of it are not deleted by a client.

Row T71: they cannot be accidentally lost. Whether their time is over is for `$erase` to say, which takes two (T73);
what was wrong from the beginning is entered in error, or reassigned. A Consent that never had force may go.
"""

from fhir_server.consent.matter import is_photo
from fhir_server.consent.terms import NOT_YET
from fhir_server.crypto.keys import KeyClass
from fhir_server.engine.call import Call, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.classification import key_class
from fhir_server.engine.pictured import is_of_a_patient
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import ConflictError
from fhir_server.kernel.json import Json

_EVIDENCED = ("Consent/", "Media/")


class Keeping(Step):
    """`server` is who acts for the server's duties: it destroys what nothing covers any more."""

    def __init__(self, server: Principal) -> None:
        self._server = server

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.resource is None and change.previous is not None and call.principal is not self._server:
            _require_free(change.previous.resource)
        return change


def _require_free(resource: Json) -> None:
    match resource["resourceType"]:
        case "Media":
            kept = is_photo(resource) and is_of_a_patient(resource)
        case "Consent":
            kept = resource.get("status") not in NOT_YET
        case "Provenance":
            targets = [str(one.get("reference", "")) for one in resource.get("target", [])]
            kept = any(target.startswith(_EVIDENCED) for target in targets)
        case "DocumentReference" | "QuestionnaireResponse":
            kept = key_class(resource) is KeyClass.PROOF
        case _:
            kept = False
    if kept:
        raise ConflictError(
            "Photos, consents and their evidence are kept as long as the law says, and are not deleted: withdraw the "
            "consent, set the status to entered-in-error, or ask for Patient/[id]/$erase, which tells what may go."
        )
