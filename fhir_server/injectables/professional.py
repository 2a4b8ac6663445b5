"""`Procedure/[id]/$professional-check`: does this treatment keep the rules of the bodies of those who gave it?

Rows T5 to T7, T28. What the caller may not see does not count, and who cannot be judged is named, not guessed at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from fhir_server.consent.evidence import SIGNED_FORM
from fhir_server.consent.inquiry import Inquiry
from fhir_server.consent.period import span
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.injectables.gathering import gathered, opened
from fhir_server.injectables.treatment import Treatment, Treatments, is_injectable
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.admission import admitted
from fhir_server.professions.body import Bodies
from fhir_server.professions.judging import (
    Agreed,
    Finding,
    Noted,
    Person,
    Prescribed,
    Treated,
    of_prescription,
    of_treatment,
)
from fhir_server.professions.membership import is_unknown, memberships

_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_IN_PERSON = frozenset({"AMB", "EMER", "FLD", "HH", "IMP", "ACUTE", "NONAC", "OBSENC", "SS"})
"""Of v3-ActEncounterCode those at which both are in one place; VR is the telephone, video and the like."""
_HELD = frozenset({"arrived", "triaged", "in-progress", "onleave", "finished"})
_NOT_PRESCRIBED = frozenset({"entered-in-error", "draft"})
_TYPES = frozenset({"Practitioner", "PractitionerRole"})
_REQUEST = "MedicationRequest"


@dataclass(frozen=True, slots=True)
class Judged:
    """`people`: who was judged, with their bodies. `unjudged`: what no rule could be applied to, and why."""

    people: tuple[Person, ...]
    findings: tuple[Finding, ...]
    unjudged: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return all(finding.severity != "error" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Known:
    """`unknown`: a body is named whose rules are not here."""

    person: Person
    unknown: bool


class ProfessionalChecking:
    """`zone`: where a date without a time is meant."""

    def __init__(self, engine: Engine, treatments: Treatments, inquiry: Inquiry, bodies: Bodies, zone: tzinfo) -> None:
        self._engine, self._treatments, self._inquiry = engine, treatments, inquiry
        self._bodies, self._zone = bodies, zone

    async def check(self, call: Call) -> Judged:
        """Raises UnprocessableError for a Procedure without a patient or a time."""
        async with admitted(self._engine, call):
            pass  # whoever may not ask has not read the Procedure either
        treatment = await self._treatments.read(call, str(call.id))
        async with admitted(self._engine, call):
            begun = self._begun(treatment.procedure.resource)
            requests = await self._requests(call, treatment)
            performers = [_named(one.get("actor")) for one in treatment.procedure.resource.get("performer", [])]
            prescribers = [_named(one.resource.get("requester")) for one in requests]
            known = await self._known(call, [key for key in (*performers, *prescribers) if key is not None])
            treated = await self._treated(call, treatment, begun)
            findings = [
                finding for key in performers if key in known for finding in of_treatment(known[key].person, treated)
            ]
            met = await self._met(call, treatment.patient) if requests else ()
            for key, request in zip(prescribers, requests, strict=True):
                if key in known:
                    one = self._prescribed(request, known[key].person.reference, met)
                    findings += of_prescription(known[key].person, one)
        told = [*_unjudged((*performers, *prescribers), known), *_unsaid(performers, requests, treatment)]
        people = {one.person.reference: one.person for one in known.values() if one.person.memberships}
        return Judged(tuple(people.values()), tuple(dict.fromkeys(findings)), tuple(dict.fromkeys(told)))

    def _begun(self, procedure: Json) -> datetime:
        said = procedure.get("performedPeriod", {}).get("start") or procedure.get("performedDateTime")
        begin = span(said, self._zone)
        if begin is None:
            raise UnprocessableError(
                "The Procedure does not say when it was performed.", expression="Procedure.performed"
            )
        return begin[0].astimezone(self._zone)

    async def _known(self, call: Call, keys: Sequence[ResourceKey]) -> Mapping[ResourceKey | None, _Known]:
        """Those of them who are on record; who is named in a role is the practitioner of that role."""
        found = {
            one.key: one for one in (await opened(self._engine, call, [one for one in keys if _is_one(one)])).found
        }
        roles = {
            key: practitioner
            for key, stored in found.items()
            if key.type == "PractitionerRole" and (practitioner := _named(stored.resource.get("practitioner")))
        }
        more = [key for key in roles.values() if key not in found and _is_one(key)]
        found |= {one.key: one for one in (await opened(self._engine, call, more)).found}
        known: dict[ResourceKey | None, _Known] = {}
        for key in dict.fromkeys(keys):
            stored = found.get(roles.get(key, key))
            if stored is not None and stored.key.type == "Practitioner":
                person = Person(str(stored.key), memberships(stored.resource, self._bodies))
                known[key] = _Known(person, is_unknown(stored.resource, self._bodies))
        return known

    async def _requests(self, call: Call, treatment: Treatment) -> list[Stored]:
        """The prescriptions that what was given names, and those of the same encounter."""
        named = [_named(one.resource.get("request")) for one in treatment.given]
        found = list((await opened(self._engine, call, [one for one in named if one and one.type == _REQUEST])).found)
        encounter = _named(treatment.procedure.resource.get("encounter"))
        if encounter is not None:
            pairs = (("patient", f"Patient/{treatment.patient}"), ("encounter", str(encounter)))
            found += (await gathered(self._engine, call, _REQUEST, pairs)).found
        told = {one.key: one for one in found if one.resource.get("status") not in _NOT_PRESCRIBED}
        return list(told.values())

    async def _met(self, call: Call, patient: str) -> Sequence[Stored]:
        mine = (("patient", f"Patient/{patient}"),)
        return (await gathered(self._engine, call, "Encounter", mine, lambda one: _is_in_person(one.resource))).found

    def _prescribed(self, request: Stored, prescriber: str, met: Sequence[Stored]) -> Prescribed:
        """A meeting counts that began before the prescription, or on its day where that has no time."""
        at = span(request.resource.get("authoredOn"), self._zone)
        shown = []
        for one in met:
            begun = span(one.resource.get("period", {}).get("start"), self._zone)
            those = {_text(each.get("individual")) for each in one.resource.get("participant", [])}
            if prescriber in those and begun is not None and at is not None and begun[0] < at[1]:
                shown.append(str(one.key))
        return Prescribed(str(request.key), at[0].astimezone(self._zone) if at else None, tuple(shown))

    async def _treated(self, call: Call, treatment: Treatment, begun: datetime) -> Treated:
        asking = replace(call, interaction=Interaction.SEARCH_TYPE, type="Consent", id=None, operation=None)
        stood = [
            one
            for one in await self._inquiry.periods(asking, treatment.patient)
            if one.kind == "permit" and one.begin <= begun and (one.end is None or begun < one.end)
        ]
        seen = await opened(
            self._engine, call, [*(one.consent for one in stood), ResourceKey("Patient", treatment.patient)]
        )
        there = {one.key: one.resource for one in seen.found}
        consents = [
            Agreed(f"{one.consent}/_history/{one.version}", one.purposes, _collector(there.get(one.consent, {})))
            for one in stood
        ]
        patient = there.get(ResourceKey("Patient", treatment.patient), {})
        return Treated(begun, is_injectable(treatment), consents, list(_notes(treatment)), patient)


def _unjudged(named: Sequence[ResourceKey | None], known: Mapping[ResourceKey | None, _Known]) -> Iterator[str]:
    for key in named:
        one = known.get(key)
        if key is None:
            yield "Somebody is named without a reference to a resource of this server."
        elif one is None:
            yield f"{key} is no practitioner who is on record here and shown to you."
        elif one.unknown:
            yield f"{key} names a professional body whose rules are not here."
        elif not one.person.memberships:
            yield f"{key} names no professional body."


def _unsaid(performers: Sequence[object], requests: Sequence[Stored], treatment: Treatment) -> Iterator[str]:
    if not performers:
        yield "The Procedure does not say who treated."
    if treatment.given and not requests:
        yield "No prescription of what was given is on record: whether its prescriber met the patient cannot be told."


def _notes(treatment: Treatment) -> Iterator[Noted]:
    for one in treatment.procedure.resource.get("note", []):
        author = one.get("authorString") or _text(one.get("authorReference"))
        yield Noted(str(treatment.procedure.key), author, str(one.get("time", "")))
    for stored in treatment.notes:
        said = stored.resource
        authors = said.get("author") or said.get("assessor") or said.get("performer") or []
        first = next(iter(authors if isinstance(authors, list) else [authors]), None)
        yield Noted(str(stored.key), _text(first), str(said.get("date") or said.get("issued") or ""))


def _collector(consent: Json) -> str:
    """Who took it down, as the form says that was signed here."""
    for one in consent.get("extension", []):
        if one.get("url") == SIGNED_FORM:
            for part in one.get("extension", []):
                if part.get("url") == "collector":
                    return _text(part.get("valueReference"))
    return ""


def _is_in_person(encounter: Json) -> bool:
    kind = encounter.get("class", {})
    return encounter.get("status") in _HELD and kind.get("system") == _ACT_CODE and kind.get("code") in _IN_PERSON


def _is_one(key: ResourceKey) -> bool:
    return key.type in _TYPES


def _named(reference: object) -> ResourceKey | None:
    return parse_reference(_text(reference))


def _text(reference: object) -> str:
    return str(reference.get("reference", "")) if isinstance(reference, dict) else ""
