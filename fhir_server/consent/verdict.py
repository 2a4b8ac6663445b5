"""Pure: what one Consent says on what is asked.

IHE PCF 1.1: a rule and its exceptions, which win over it. Whatever is not understood to the last element permits
nothing, and refuses unless it surely speaks of something else.
"""

from dataclasses import replace
from datetime import UTC

from fhir_server.consent.labels import of_labels
from fhir_server.consent.match import Match
from fhir_server.consent.period import covers, is_over, span, within
from fhir_server.consent.provision import (
    RESTRICTIONS,
    codings,
    names,
    of_actor,
    of_data,
    of_purpose,
    of_the_rest,
    purposes,
    several,
)
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY, EMERGENCIES, is_one
from fhir_server.consent.question import Ask, Reason
from fhir_server.consent.terms import channels, in_force, level, withdrawn
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

_SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
_MODIFIERS = frozenset({"modifierExtension", "implicitRules"})


def verdict(ask: Ask, consent: Json) -> Reason | None:
    """None when this consent permits what is asked, REFUSED when it refuses it, else why it says nothing on it.

    Under a broken glass it is asked of emergencies too. A refusal that takes them out is opened by that; one that does
    not name them stays, and so does a refusal of emergencies.
    """
    if not ask.emergency:
        return _said(ask, consent)
    said = [_said(each, consent) for each in _as_emergency(ask)]
    if Reason.REFUSED in said:
        return Reason.REFUSED
    return None if None in said else said[0]


def _said(ask: Ask, consent: Json) -> Reason | None:
    rule = consent.get("provision")
    if not (in_force(consent) or withdrawn(consent)) or not isinstance(rule, dict):
        return Reason.NO_CONSENT
    if "provision" not in rule and of_purpose(rule, ask.purpose) is Match.NO:
        # Most consents are for another purpose, and nothing else in them has to be looked at.
        return Reason.OTHER_PURPOSE
    about = _about(ask.patient, consent)
    if about is Match.NO:
        return Reason.NO_CONSENT
    if rule.get("type") != "permit":
        return Reason.NO_CONSENT if withdrawn(consent) else _refusal(ask, consent, rule, about)
    if withdrawn(consent) or is_over(rule.get("period"), ask.instant):
        return _ended(ask, consent, rule, about)
    return _permission(ask, consent, rule, about)


def _permission(ask: Ask, consent: Json, rule: Json, about: Match) -> Reason | None:
    """A permit, unless an exception takes it back. An exception of its own labels widens it, as PCF writes it."""
    exceptions = _exceptions(rule)
    spoken = (*_terms(ask, consent), *_spoken(ask, rule))
    if any(_refuses(ask, {**_inherited(rule), **one}) for one in exceptions if one.get("type") != "permit"):
        return Reason.REFUSED
    wider = [{**_inherited(rule), **one} for one in exceptions if one.get("type") == "permit"]
    if about is Match.YES and any(_opens(ask, one, _terms(ask, consent)) for one in wider if "securityLabel" in one):
        return None
    if elsewhere := next((reason for reason, match in spoken if match is Match.NO), None):
        return elsewhere
    understood = all("securityLabel" in one for one in exceptions if one.get("type") == "permit")
    if about is not Match.YES or not understood or any(match is not Match.YES for _, match in spoken):
        return Reason.NOT_UNDERSTOOD
    named = purposes(rule)
    return None if ask.purpose in named and is_one(named) else Reason.NOT_SPECIFIC


def _ended(ask: Ask, consent: Json, rule: Json, about: Match) -> Reason:
    """What it permitted it permits no more; what it took out stays out, so that an end never opens anything."""
    found = _permission(ask, consent, {name: value for name, value in rule.items() if name != "period"}, about)
    if found is None:
        return Reason.WITHDRAWN if withdrawn(consent) else Reason.OUTSIDE_PERIOD
    return found


def _refusal(ask: Ask, consent: Json, rule: Json, about: Match) -> Reason | None:
    """A refusal, or a rule whose type nobody knows. Only an exception that names exactly what is asked opens it."""
    spoken = (*_channel(ask, consent), *_spoken(ask, rule))
    if elsewhere := next((reason for reason, match in spoken if match is Match.NO), None):
        return elsewhere
    exceptions, asks = _exceptions(rule), _as_emergency(ask)
    permits = [one for one in exceptions if one.get("type") == "permit"]
    opened = rule.get("type") == "deny" and any(_opens(each, one) for each in asks for one in permits)
    if not opened or any(_refuses(each, one) for each in asks for one in exceptions if one.get("type") != "permit"):
        return Reason.REFUSED
    sure = about is Match.YES and all(match is Match.YES for _, match in spoken)
    return None if sure else Reason.NOT_UNDERSTOOD


def _as_emergency(ask: Ask) -> list[Ask]:
    """What is asked, and under a broken glass the same for each of the names that an emergency has."""
    return [ask, *(replace(ask, purpose=purpose) for purpose in sorted(EMERGENCIES))] if ask.emergency else [ask]


def _refuses(ask: Ask, exception: Json) -> bool:
    return all(match is not Match.NO for _, match in _spoken(ask, exception, nested=True))


def _opens(ask: Ask, exception: Json, terms: tuple[tuple[Reason, Match], ...] = ()) -> bool:
    named = purposes(exception)
    sure = all(match is Match.YES for _, match in (*terms, *_spoken(ask, exception, nested=True)))
    return sure and ask.purpose in named and is_one(named)


def _spoken(ask: Ask, rule: Json, *, nested: bool = False) -> tuple[tuple[Reason, Match], ...]:
    """How surely each restriction of a rule lets it speak of what is asked, with the reason if it does not."""
    facts = ask.facts
    times = facts.when if facts else ()
    period = within(rule["dataPeriod"], times, ask.instant.tzinfo) if "dataPeriod" in rule else Match.YES
    confidentiality, sensitive = (facts.confidentiality, facts.sensitivities) if facts else (None, frozenset[str]())
    return (
        (Reason.OTHER_PURPOSE, of_purpose(rule, ask.purpose)),
        (Reason.OUTSIDE_PERIOD, covers(rule.get("period"), ask.instant)),
        (Reason.NOT_COVERED, of_data(rule, ask.resource, facts)),
        (Reason.NOT_COVERED, period),
        (Reason.NOT_COVERED, of_labels(rule, confidentiality, sensitive)),
        (Reason.NOT_COVERED, of_actor(rule, ask.actor)),
        (Reason.NOT_UNDERSTOOD, of_the_rest(rule, nested=nested)),
    )


def _terms(ask: Ask, consent: Json) -> tuple[tuple[Reason, Match], ...]:
    """What a permission asks for beyond its rule. The purpose comes first: who asks for another learns that."""
    if of_purpose(consent["provision"], ask.purpose) is Match.NO:
        return ()
    required = level(consent)
    shown = Match.UNSURE if required is None else Match.YES if ask.rendition >= required else Match.NO
    return (
        *_channel(ask, consent),
        (Reason.NOT_COVERED, _named_where_imported(ask, consent)),
        (Reason.NOT_ANONYMISED, shown),
        (Reason.TAKEN_BEFORE, _in_time(ask, consent)),
    )


def _named_where_imported(ask: Ask, consent: Json) -> Match:
    """Beyond care, a photo without evidence is covered by no consent but one that names its photos."""
    if ask.facts is None or not ask.facts.imported or ask.purpose == CARE_PHOTOGRAPHY:
        return Match.YES
    return Match.YES if "data" in consent["provision"] else Match.NO


def _in_time(ask: Ask, consent: Json) -> Match:
    """A photo is not taken before it was consented to (T99)."""
    zone = ask.instant.tzinfo or UTC
    given = span(consent.get("dateTime"), zone)
    if not ask.taking or given is None or ask.facts is None or ask.facts.imported:
        return Match.YES
    taken = [found for one in ask.facts.when if (found := span(one, zone)) is not None]
    return Match.NO if any(end <= given[0] for _, end in taken) else Match.YES


def _channel(ask: Ask, consent: Json) -> tuple[tuple[Reason, Match], ...]:
    named = channels(consent)
    if not named or ask.channel in named:
        return ()
    return ((Reason.OTHER_CHANNEL, Match.UNSURE if ask.channel is None else Match.NO),)


def _inherited(rule: Json) -> Json:
    return {name: rule[name] for name in RESTRICTIONS if name in rule}


def _exceptions(rule: Json) -> list[Json]:
    """The rules one level down. What is no rule at all becomes one without type or restriction: it refuses."""
    return [exception if isinstance(exception, dict) else {} for exception in several(rule.get("provision"))]


def _about(patient: str, consent: Json) -> Match:
    """Is this a privacy consent of that patient? A modifier that nobody knows may turn its meaning round."""
    modified = Match.YES if _MODIFIERS.isdisjoint(consent) else Match.UNSURE
    named = names(consent.get("patient"), ResourceKey("Patient", patient))
    scopes = {code for system, code in codings(consent.get("scope")) if system == _SCOPES}
    if "patient-privacy" in scopes:
        return min(modified, named)
    return Match.NO if scopes else min(Match.UNSURE, named)
