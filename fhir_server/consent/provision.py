"""Whether one rule of a Consent speaks of what is asked, restriction by restriction.

https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision, IHE PCF 1.1 (basic, intermediate and advanced).
"""

from fhir_server.consent.facts import Facts
from fhir_server.consent.match import Match
from fhir_server.consent.purposes import canonical
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json

RESTRICTIONS = frozenset({"purpose", "period", "data", "dataPeriod", "actor", "securityLabel"})
_EVALUATED = RESTRICTIONS | {"id", "type"}
_RECIPIENT = ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")
_INDIVIDUALS = frozenset({"Practitioner", "Patient", "RelatedPerson", "Device"})


def purposes(rule: Json) -> frozenset[str | None]:
    """The purposes that a rule names, each by its one name; None among them for one that could mean anything."""
    return frozenset([canonical(coding) for coding in several(rule.get("purpose"))])


def of_purpose(rule: Json, asked: str) -> Match:
    """A rule without purpose speaks of every purpose."""
    match rule.get("purpose"):
        case [dict() as coding] if (only := canonical(coding)) is not None:
            # As most rules have it; a decision asks this of every consent on file.
            return Match.YES if only == asked else Match.NO
    named = purposes(rule)
    if not named or asked in named:
        return Match.YES
    return Match.UNSURE if None in named else Match.NO


def of_data(rule: Json, asked: ResourceKey | None, facts: Facts | None = None) -> Match:
    """A rule without data speaks of all data; one with data, of the instances that it lists.

    Or of what names them (`related`), or of what they wrote (`authoredby`). `dependents`, and whatever needs facts that
    are not there, stays unsure.
    """
    if "data" not in rule:
        return Match.YES
    return max((_one_datum(datum, asked, facts) for datum in several(rule["data"])), default=Match.UNSURE)


def _one_datum(datum: object, asked: ResourceKey | None, facts: Facts | None) -> Match:
    if not isinstance(datum, dict):
        return Match.UNSURE
    meaning, reference = datum.get("meaning"), datum.get("reference")
    if meaning == "instance":
        return names(reference, asked)
    if facts is None or meaning not in {"related", "authoredby"}:
        return Match.UNSURE
    if meaning == "related":
        return max([names(reference, one) for one in (asked, *facts.related)])
    if facts.authors is None:
        return Match.UNSURE
    return max([names(reference, one) for one in facts.authors], default=Match.NO)


def of_actor(rule: Json, asked: ResourceKey | None) -> Match:
    """A rule without actor speaks of everybody; one with actors, of those that it names as recipients."""
    if "actor" not in rule:
        return Match.YES
    return max((_one_actor(actor, asked) for actor in several(rule["actor"])), default=Match.UNSURE)


def _one_actor(actor: object, asked: ResourceKey | None) -> Match:
    if not isinstance(actor, dict) or _RECIPIENT not in codings(actor.get("role")):
        return Match.UNSURE
    found = names(actor.get("reference"), asked)
    if found is Match.NO and not _surely_others(actor["reference"]["reference"], asked):
        return Match.UNSURE
    return found


def _surely_others(reference: str, asked: ResourceKey | None) -> bool:
    """Two different Practitioners are two persons; one may belong to a group, or act through a device."""
    named = parse_reference(reference)
    return named is not None and asked is not None and named.type == asked.type and named.type in _INDIVIDUALS


def of_the_rest(rule: Json, *, nested: bool) -> Match:
    """Unsure with any element that this server does not evaluate: class, code, action, extension.

    PCF knows rules and their exceptions and no third level.
    """
    rest = rule.keys() - _EVALUATED
    return Match.YES if not rest or (rest == {"provision"} and not nested) else Match.UNSURE


def names(reference: object, asked: ResourceKey | None) -> Match:
    """Does this Reference name that resource? One to a version, or elsewhere, may or may not."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    named = parse_reference(text) if isinstance(text, str) else None
    if named is None or asked is None:
        return Match.UNSURE
    if named != asked:
        return Match.NO
    return Match.YES if text == str(asked) else Match.UNSURE


def codings(concept: object) -> list[tuple[object, object]]:
    codings = several(concept.get("coding")) if isinstance(concept, dict) else []
    return [(coding.get("system"), coding.get("code")) for coding in codings if isinstance(coding, dict)]


def several(value: object) -> list[object]:
    """A repeating element as a list; something in the place of a list counts as one thing that nobody understands."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
