"""Step: a photo that comes from another system without evidence of a consent has a Provenance `import` that says so.

Issue "Photos and consent", decision D11: it is kept for care, and goes no further until a new consent names it.
https://hl7.org/fhir/R4/provenance.html
"""

from fhir_server.consent.matter import is_photo
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.pictured import is_imported
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import NewId, ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.withdrawal_record import agent, told

IMPORT = "urn:aesthetic-fhir-server:import"


class Imports(Step):
    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.resource is None or not is_photo(change.resource) or not is_imported(change.resource):
            return change
        if change.derived or (change.previous is not None and is_photo(change.previous.resource)):
            return change
        key, now = ResourceKey("Provenance", self._new_id()), instant(call.instant)
        trail: Json = {
            "resourceType": "Provenance",
            "id": key.id,
            "target": [{"reference": str(change.key)}],
            "recorded": now,
            "reason": [{"text": "No evidence of a consent came with it."}],
            "activity": {"coding": [{"system": IMPORT, "code": "import"}]},
            "agent": [agent("enterer", told(call.principal))],
        }
        return change.bringing(Change(key, trail, None, change.subjects, "POST", by_duty=True))
