"""Read a form, answer it, sign it: the patient, on a page of their own. Nothing is ticked before.

GDPR Art. 4(11), 7(2); requirements S38, S103, T88 to T93.
"""

import base64

from fhir_server.consent.form import Form, forms
from fhir_server.consent.signature import Sitting
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.privacy.desk import Visitor
from fhir_server.ui.answers import NOT_FOUND, Answer, Go, Show, path, wrong
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Visit
from fhir_server.ui.withdrawal_page import patient_of

_AUTHOR = {"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.7", "display": "Consent Signature"}
_LONGEST_NAME = 120
_OURS = 500


async def get(surface: Surface, visit: Visit) -> Answer:
    ready = _ready(surface, visit)
    if not isinstance(ready, tuple):
        return ready
    form = ready[1]
    if form is None:
        return Show("sign-list", {"forms": [one for one in forms().values() if one.language == visit.words.language]})
    return Show("sign", {"form": form, "items": list(form.items.values())})


async def post(surface: Surface, visit: Visit) -> Answer:
    ready = _ready(surface, visit)
    if not isinstance(ready, tuple):
        return ready
    visitor, form = ready
    if form is None or surface.desk is None:
        return Show("fault", {"fault_key": "request-wrong"}, NOT_FOUND)
    name = visit.form.get("name").strip()[:_LONGEST_NAME]
    shown = {"form": form, "items": list(form.items.values())}
    if not name:
        return wrong("sign", shown, "sign-name-missing", "name")
    try:
        made = await surface.desk.sign(visitor, _sitting(surface, visit, visitor, form, name))
    except FhirError as failure:
        if failure.status >= _OURS:
            raise
        return wrong("sign", shown, "sign-incomplete", "questions")
    return Show("signed-form", {"form": form, "given": sum(one.key.type == "Consent" for one in made)})


def _ready(surface: Surface, visit: Visit) -> tuple[Visitor, Form | None] | Answer:
    if surface.desk is None:
        return Show("fault", {"fault_key": "unavailable"}, NOT_FOUND)
    visitor = patient_of(visit.signed)
    if visitor is None:
        return Go(path(surface.root, "sign-in"))
    if not visit.wanted_form:
        return visitor, None
    form = forms().get((visit.wanted_form, visit.words.language))
    return (visitor, form) if form else Show("fault", {"fault_key": "request-wrong"}, NOT_FOUND)


def _sitting(surface: Surface, visit: Visit, visitor: Visitor, form: Form, name: str) -> Sitting:
    """A typed name is the signature: a simple one, by somebody who signed in."""
    who = ResourceKey("Patient", visitor.patient)
    signature = {
        "type": [_AUTHOR],
        "when": instant(surface.clock.now()),
        "who": {"reference": str(who)},
        "sigFormat": "text/plain",
        "data": base64.b64encode(name.encode()).decode(),
    }
    items = [item for link, asked in form.items.items() if (item := _item(visit, link, asked)) is not None]
    return Sitting(visitor.patient, form, {"item": items}, signature, who)


def _item(visit: Visit, link: str, asked: Json) -> Json | None:
    """What was filled in; what hangs on a question that was not agreed to is left out, as the page says."""
    if any(visit.form.get(when["question"]) != "yes" for when in asked.get("enableWhen", [])):
        return None
    given = [one for one in visit.form.all(link) if one]
    if asked["type"] == "display" or not given:
        return None
    match asked["type"]:
        case "boolean":
            known = {"yes": True, "no": False}
            return {"linkId": link, "answer": [{"valueBoolean": known.get(one)} for one in given]}
        case "integer":
            return {
                "linkId": link,
                "answer": [{"valueInteger": int(one) if one.isdecimal() else None} for one in given],
            }
        case _:
            return {"linkId": link, "answer": [{"valueCoding": {"code": one}} for one in given]}
