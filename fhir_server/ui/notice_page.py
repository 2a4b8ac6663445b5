"""The exact text of a form, for everybody: where `Consent.policy.uri` leads.

Requirement T105: the policy that a consent names can be read.
"""

from fhir_server.consent.form import forms
from fhir_server.ui.answers import NOT_FOUND, Answer, Show
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Visit


async def get(surface: Surface, visit: Visit) -> Answer:
    form = forms().get((visit.wanted_form, visit.words.language))
    if form is None or visit.wanted_version not in {"", form.version}:
        return Show("fault", {"fault_key": "form-gone"}, NOT_FOUND)
    return Show("notice", {"form": form, "items": list(form.items.values())})
