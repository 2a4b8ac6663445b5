"""A picture that nobody's consent is asked for: it must be certain that it is of no patient.

Architecture section 9: an image of a Practitioner is sealed under the clinic's key; what names no patient is taken
under system scope only.
"""

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.ports import ResourceStore
from fhir_server.fhir.reference_places import expression_of, reference_places
from fhir_server.kernel.errors import ForbiddenError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json

_MOST_REFERENCES = 100


async def require_clinics_own(store: ResourceStore, base: str, call: Call, change: Change) -> None:
    """Raises ForbiddenError, or UnprocessableError with the reason, where somebody's consent may be missing."""
    if not any(scope.startswith("system/") for scope in call.principal.scopes):
        raise ForbiddenError("An image that is of no patient is taken under system scope only.", expression="Media")
    media: Json = change.resource or {}
    if _type_of_subject(media) == "Group":
        raise UnprocessableError(
            "A picture of a group is one of several people, each of whom decides: store a Media for each patient.",
            expression="Media.subject",
        )
    if change.subjects:
        raise UnprocessableError(
            "The Media names a patient who is not its subject; a photograph of a patient has the patient as subject.",
            expression="Media.subject",
        )
    named = _named(media, base)
    if len(named) > _MOST_REFERENCES:
        raise UnprocessableError("A picture that is of no patient refers to at most 100 others.", expression="Media")
    found = await store.read_many(list(named)) if named else {}
    for key, expression in named.items():
        if key in found and found[key].subjects:
            raise UnprocessableError(
                "The Media refers to what belongs to a patient; then its picture has that patient as subject.",
                expression=expression,
            )


def _type_of_subject(media: Json) -> str:
    key = parse_reference(str(media.get("subject", {}).get("reference", "")))
    return key.type if key else ""


def _named(media: Json, base: str) -> dict[ResourceKey, str]:
    found: dict[ResourceKey, str] = {}
    for steps, text in reference_places(media):
        if key := parse_reference(text.removeprefix(f"{base}/")):
            found.setdefault(key, expression_of(media, steps))
    return found
