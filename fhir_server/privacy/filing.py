"""Step: receipts, and results of drills, are filed by the server alone, and stay as they were filed.

GDPR Art. 5(2): a receipt is sealed under the key of proofs, which an erasure leaves. What a client calls a receipt
would outlive its patient's erasure; one that a client alters or deletes would prove nothing.
"""

from fhir_server.engine.call import Call, Principal
from fhir_server.engine.change import Change
from fhir_server.engine.classification import is_drill, is_health_link, is_receipt
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import MethodNotAllowedError, UnprocessableError
from fhir_server.kernel.json import Json


class Filing(Step):
    """`server` is who acts for the server's duties."""

    def __init__(self, server: Principal) -> None:
        self._server = server

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "DocumentReference" or call.principal is self._server:
            return change
        before = change.previous
        if before is not None and not before.deleted and _is_ours(before.resource):
            raise MethodNotAllowedError(
                "A receipt of destruction or result of a drill is kept as it was filed.", allow=("GET", "HEAD")
            )
        if change.resource is not None and _is_ours(change.resource):
            raise UnprocessableError(
                "The server alone files receipts of destruction and results of drills.",
                expression="DocumentReference.type",
            )
        return change


def _is_ours(resource: Json) -> bool:
    return is_receipt(resource) or is_drill(resource) or is_health_link(resource)
