"""Step: of a form that was signed on paper the scan is kept like any other, and says where the original lies.

Requirement T69.
"""

from collections.abc import Iterator

from fhir_server.consent.signing import WITHDRAW_LINK
from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.classification import is_signed_form
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.kernel.identity import parse_reference
from fhir_server.kernel.json import Json

ORIGINAL = "urn:aesthetic-fhir-server:original-location"
"""Of a DocumentReference: where the paper lies of which it is a scan, in words or as a Location."""


class Paper(Step):
    async def prepare(self, call: Call, change: Change) -> Change:
        resource = change.resource
        if change.key.type == "DocumentReference" and resource is not None:
            found = [one for one in resource.get("extension", []) if one.get("url") == ORIGINAL]
            if len(found) > 1 or not all(_is_place(one) for one in found):
                raise UnprocessableError(
                    "Where the original lies stands once, as valueString or as valueReference to a Location.",
                    expression="DocumentReference.extension",
                )
        return change


def without_original(document: Json) -> Iterator[Issue]:
    """A warning where a scan of a signed form does not say where the paper is. One that was signed here has none."""
    if document.get("resourceType") != "DocumentReference" or not is_signed_form(document):
        return
    urls = {one.get("url") for one in document.get("extension", [])}
    if urls.isdisjoint({ORIGINAL, WITHDRAW_LINK}):
        says = f"The scan does not say where the original lies: extension {ORIGINAL}."
        yield Issue("business-rule", says, "DocumentReference.extension", "warning")


def _is_place(extension: Json) -> bool:
    if isinstance(extension.get("valueString"), str):
        return True
    key = parse_reference(str(extension.get("valueReference", {}).get("reference", "")))
    return key is not None and key.type == "Location"
