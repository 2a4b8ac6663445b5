"""Pure: may this be done with what concerns this patient, for this purpose, at this instant, and on what basis?

GDPR Art. 4(11), 6(1)(a), 7, 9(2); IHE PCF 1.1; architecture section 9. Whatever cannot be read, is missing or
contradicts the head row ends in Deny.
"""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from fhir_server.consent.law import Law, Policy, law_of
from fhir_server.consent.purposes import (
    BREAK_GLASS,
    CARE_PHOTOGRAPHY,
    MARKETING,
    TREATMENT,
    is_care,
    needs_consent,
)
from fhir_server.consent.question import Ask, Deny, Matter, Permit, Reason
from fhir_server.consent.terms import channels
from fhir_server.consent.verdict import verdict
from fhir_server.engine.change import CareBasis, ConsentBasis, LegalObligation
from fhir_server.engine.ports import Head
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

_NEARNESS = {reason: place for place, reason in enumerate(Reason)}
_AS_IF_NONE = frozenset(
    {Reason.NO_CONSENT, Reason.OTHER_PURPOSE, Reason.OUTSIDE_PERIOD, Reason.WITHDRAWN, Reason.NOT_SPECIFIC}
)
"""Then the rules for who has no consent on file hold (R-PCF-007). Any other reason is a restriction that stays one."""

_ENDED = frozenset({Reason.WITHDRAWN, Reason.OUTSIDE_PERIOD, Reason.REFUSED})
STRICT = law_of("eu")


def decide(ask: Ask, consents: Sequence[Json], head: Head, law: Law = STRICT) -> Permit | Deny:
    """Refusals win over permissions; the order in which consents come changes nothing.

    Every consent that the head lists must be there in exactly that version, or nothing is decided in favour. One that
    the head does not list does not exist.
    """
    if head.patient != ask.patient:
        return Deny(Reason.NOT_CURRENT)
    if ask.matter is Matter.PROOF:
        return Permit(LegalObligation("gdpr-5-2", ask.patient, head.epoch))
    cares = is_care(ask.purpose) or ask.purpose == CARE_PHOTOGRAPHY
    emergency = cares and (ask.emergency or ask.purpose == BREAK_GLASS)
    if emergency is not ask.emergency:
        ask = replace(ask, emergency=emergency)
    found: dict[ResourceKey, Json] = {}
    for consent in consents:
        key = _key(consent)
        if (version := head.consents.get(key)) is not None:
            if _version(consent) != version:
                return Deny(Reason.NOT_CURRENT)
            found[key] = consent
    if len(found) != len(head.consents):
        return Deny(Reason.NOT_CURRENT)
    if ask.matter is Matter.RECORD and ask.is_own:
        return Permit(LegalObligation("gdpr-15", ask.patient, head.epoch))
    return _by_consents(ask, found, head, law)


def decide_use(ask: Ask, consents: Sequence[Json], head: Head, law: Law) -> Permit | Deny:
    """The same of what is there to be used, as the gate asks and `$decide` explains.

    Who picks a photo for a publication names no channel yet: one must permit it; which, is asked as it goes.
    """
    decided = decide(ask, consents, head, law)
    if isinstance(decided, Permit) or ask.channel is not None or ask.purpose not in MARKETING:
        return decided
    for channel in sorted({str(one) for consent in consents for one in channels(consent)}):
        allowed = decide(replace(ask, channel=channel), consents, head, law)
        if isinstance(allowed, Permit):
            return allowed
    return decided


def under_broken_glass(ask: Ask) -> Ask:
    """What whoever broke the glass asks: treatment, or photographs in care, as an emergency.

    So a refusal of treatment counts, unless it names emergencies. Any other purpose is asked as it is.
    """
    return replace(ask, emergency=ask.purpose in {TREATMENT, CARE_PHOTOGRAPHY})


def _by_consents(ask: Ask, found: Mapping[ResourceKey, Json], head: Head, law: Law) -> Permit | Deny:
    if not found:  # most patients have none on file, and every hit of a page is asked about
        return _permitted_by_rule(ask, frozenset(), head, law) or Deny(Reason.NO_CONSENT)
    verdicts = {key: verdict(ask, found[key]) for key in sorted(found)}
    # What says something on photographs itself is not asked what it says on treatment.
    treatment = _of_treatment(ask, {key: found[key] for key, said in verdicts.items() if said is Reason.OTHER_PURPOSE})
    if ask.taking and _is_over(treatment.values()):
        return Deny(Reason.TREATMENT_ENDED)
    for key, said in (*verdicts.items(), *treatment.items()):
        if said is Reason.REFUSED:
            return Deny(said, key, head.consents[key])
    if permitting := next((key for key, said in verdicts.items() if said is None), None):
        return Permit(ConsentBasis(permitting, head.consents[permitting], ask.patient, head.epoch))
    reasons = {said for said in verdicts.values() if said is not None}
    by_rule = _permitted_by_rule(ask, reasons, head, law) if reasons <= _AS_IF_NONE else None
    return by_rule or Deny(max(reasons, key=_NEARNESS.__getitem__))


def _permitted_by_rule(ask: Ask, reasons: AbstractSet[Reason], head: Head, law: Law) -> Permit | None:
    rule = _rule(ask, reasons, law)
    return Permit(CareBasis(rule, ask.patient, head.epoch, silent=ask.matter is Matter.RECORD)) if rule else None


def _rule(ask: Ask, reasons: AbstractSet[Reason], law: Law) -> str | None:
    """The rule by which it may be done without a consent; None where there is none."""
    if ask.matter is Matter.PHOTO:
        ended = ask.taking and not _ENDED.isdisjoint(reasons)
        imported = ask.facts is not None and ask.facts.imported
        cares = (law.pack.care_photography or imported) and ask.purpose == CARE_PHOTOGRAPHY and not ended
        return law.pack.code if cares and (ask.is_own or ask.profession in law.pack.professions) else None
    match law.policy:
        case Policy.ALL_NORMAL:
            permitted = not needs_consent(ask.purpose)
        case Policy.BASIC_NORMAL:
            permitted = is_care(ask.purpose) and ask.profession in law.pack.professions
        case Policy.BREAK_GLASS_ONLY:
            permitted = ask.emergency
        case _:
            permitted = False
    return law.policy.value if permitted else None


def _of_treatment(ask: Ask, consents: Mapping[ResourceKey, Json]) -> Mapping[ResourceKey, Reason | None]:
    """To photograph somebody in care is to treat them: what the consents say on treatment counts for it too."""
    if ask.matter is not Matter.PHOTO or ask.purpose != CARE_PHOTOGRAPHY:
        return {}
    asked = replace(ask, purpose=TREATMENT, channel=None)
    return {key: verdict(asked, consents[key]) for key in sorted(consents)}


def _is_over(said: Collection[Reason | None]) -> bool:
    """Was the consent to treatment withdrawn or refused, or has it run out, with none in its place? Without any: no."""
    return Reason.REFUSED in said or (None not in said and not _ENDED.isdisjoint(said))


def _key(consent: Json) -> ResourceKey:
    return ResourceKey(str(consent.get("resourceType")), str(consent.get("id")))


def _version(consent: Json) -> int | None:
    version = str(consent.get("meta", {}).get("versionId"))
    return int(version) if version.isascii() and version.isdigit() else None
