"""The exact text of a form, for everybody: where `Consent.policy.uri` leads.

Requirement T105: the policy that a consent names can be read.
"""

from fhir_server.consent.form import text_of
from fhir_server.ui.answers import NOT_FOUND, Answer, Show
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Visit


async def get(surface: Surface, visit: Visit) -> Answer:
    form = text_of(visit.wanted_form, visit.words.language, visit.wanted_version)
    if form is None:
        return Show("fault", {"fault_key": "form-gone"}, NOT_FOUND)
    return Show("notice", {"form": form, "items": list(form.items.values())})
