"""Step: a template of a face is biometric data: labelled so, assessed before, on explicit consent, for back ends alone.

Row S16; GDPR Art. 4(14), 9(1), 9(2)(a), 35; recital 51: a plain photograph is none. The server makes no templates and
cannot tell one by its bytes: what carries one says so by a code, and whoever stores one is bound to say so.
"""

from fhir_server.consent.purposes import FACE_RECOGNITION
from fhir_server.consent.question import Ask, Deny, Matter
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Call, Principal
from fhir_server.engine.change import Change, Unmoved
from fhir_server.engine.pipeline import Step
from fhir_server.engine.ports import ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ForbiddenError, NoLegalBasisError, NotFoundError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.privacy.register.entries import DPIA, kind_of

SYSTEM = "urn:aesthetic-fhir-server:biometric"
FACE_TEMPLATE = "face-template"
"""A code of that system in what says of what kind a resource, a component of it or its content is."""
LABEL: Json = {"system": SYSTEM, "code": "biometric", "display": "biometric"}
ASSESSMENT = "urn:aesthetic-fhir-server:impact-assessment"
"""The extension with a Reference to the register's entry."""
_KINDS = ("code", "type", "category", "modality")
_WRITTEN = FACE_TEMPLATE.encode()


class FaceTemplates(Step):
    """`server` is who acts for the server's duties: erasing, and telling patients what there is."""

    def __init__(self, standing: Standing, store: ResourceStore, server: Principal) -> None:
        self._standing, self._store, self._server = standing, store, server

    async def prepare(self, call: Call, change: Change) -> Change:
        before = change.previous and (change.previous.masked_from or change.previous)
        if before is not None and _holds(before) and not _is_back_end(call):
            raise NotFoundError("There is no resource with this id.")
        if change.resource is None or call.principal is self._server:
            return change
        labelled = _is(change.resource.get("meta", {}).get("security"), "biometric")
        if not carries_template(change.resource):
            if labelled:
                raise UnprocessableError(
                    "What carries no template of a face is not labelled biometric: a photograph alone is none.",
                    expression=f"{change.key.type}.meta.security",
                )
            return change
        if not _is_back_end(call):
            raise ForbiddenError("A template of a face is taken under system scope only.")
        if not labelled:
            raise UnprocessableError(
                f"A template of a face is labelled biometric, of {SYSTEM}.",
                expression=f"{change.key.type}.meta.security",
            )
        await self._require_assessed(change)
        return await self._permitted(call, change)

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        """To patients their own; to a back end while the patient consents; to nobody else."""
        if call.principal is self._server or not _holds(stored):
            return stored
        actor = parse_reference(call.principal.fhir_user) if call.principal.fhir_user else None
        own = actor is not None and stored.subjects == (actor.id,) and actor.type == "Patient"
        if own:
            return stored
        if not _is_back_end(call) or not stored.subjects:
            return None
        for patient in stored.subjects:
            decided = await self._standing.decide(_ask(call, patient, stored.key), call.trace)
            if isinstance(decided, Deny):
                return None
            known = call.trace.bases.get(patient)
            if known is None or decided.basis.epoch <= known.epoch:  # the oldest is what is looked at again
                call.trace.bases[patient] = decided.basis
        return stored

    async def _require_assessed(self, change: Change) -> None:
        """422 where it does not name an impact assessment that is on the register."""
        assert change.resource is not None, "a deletion carries nothing"
        named = [one for one in change.resource.get("extension", []) if one.get("url") == ASSESSMENT]
        keys = [parse_reference(str(one.get("valueReference", {}).get("reference", ""))) for one in named]
        for key in keys:
            if key is not None and key.type == "Basic":
                found = await self._store.read(ResourceKey("Basic", key.id))
                if found is not None and not found.deleted and kind_of(found.resource) == DPIA:
                    return
        raise UnprocessableError(
            f"A template of a face names the impact assessment that is on the register for it: extension {ASSESSMENT}.",
            expression=f"{change.key.type}.extension",
        )

    async def _permitted(self, call: Call, change: Change) -> Change:
        """On the explicit consent of everybody whom it names; the commit holds to it."""
        if not change.subjects:
            raise UnprocessableError("A template of a face is of a patient.", expression=change.key.type)
        for patient in change.subjects:
            decided = await self._standing.decide(_ask(call, patient, change.key), call.trace)
            if isinstance(decided, Deny):
                raise NoLegalBasisError(f"There is no legal basis for this template of a face. {decided.text}")
            unmoved = Unmoved(patient, decided.basis.epoch)
            change = change.only_if(unmoved) if change.basis else change.relying_on(decided.basis)
        return change


def carries_template(resource: Json) -> bool:
    """It, or what it contains, a component of it, its content, or an entry of a stored Bundle.

    Asked of everything that is written, of which hardly anything has one: names that are not there cost nothing more.
    """
    if _is(resource.get("meta", {}).get("tag"), FACE_TEMPLATE) or _is_of_kind(resource):
        return True
    if "content" in resource and any(_is([one.get("format")], FACE_TEMPLATE) for one in _objects(resource["content"])):
        return True
    if "component" in resource and any(map(_is_of_kind, _objects(resource["component"]))):
        return True
    if "contained" in resource and any(map(carries_template, resource["contained"])):
        return True
    return "entry" in resource and any(carries_template(one.get("resource", {})) for one in resource["entry"])


def _is_of_kind(holder: Json) -> bool:
    for name in _KINDS:
        if name in holder:
            value = holder[name]
            for concept in value if isinstance(value, list) else (value,):
                if isinstance(concept, dict) and _is(concept.get("coding"), FACE_TEMPLATE):
                    return True
    return False


def _objects(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _is(codings: object, code: str) -> bool:
    if isinstance(codings, list):
        for one in codings:
            if isinstance(one, dict) and one.get("system") == SYSTEM and one.get("code") == code:
                return True
    return False


def _holds(stored: Stored) -> bool:
    """Asked of everything that is shown: first of its bytes."""
    return not stored.deleted and _WRITTEN in stored.truth and carries_template(stored.resource)


def _is_back_end(call: Call) -> bool:
    return any(scope.startswith("system/") for scope in call.principal.scopes)


def _ask(call: Call, patient: str, key: ResourceKey) -> Ask:
    return Ask(patient, FACE_RECOGNITION, call.instant, key, matter=Matter.RECORD)
