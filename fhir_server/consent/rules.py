"""What a Consent must be to come into force: for one purpose, signed by now, and saying what that purpose needs.

Requirements S36, S75 to S78, S104, T83, T84; IHE PCF 1.1.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from fhir_server.consent import terms
from fhir_server.consent.period import span
from fhir_server.consent.provision import purposes
from fhir_server.consent.purposes import ANONYMISATION, BY_CODE, CHANNEL, END, USE, is_one
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.kernel.json import Json

_SKEW = timedelta(minutes=5)
"""How far a clock may be ahead of ours."""


def require_sound(consent: Json, now: datetime) -> None:
    """422 with every fault, each at its place."""
    if issues := [Issue("invalid", text, place) for place, text in _faults(consent, now)]:
        raise UnprocessableError(issues=issues)


def _faults(consent: Json, now: datetime) -> Iterator[tuple[str, str]]:
    rule = consent.get("provision")
    named = purposes(rule) if isinstance(rule, dict) else frozenset[str | None]()
    if named and not is_one(named):
        yield "Consent.provision.purpose", "A Consent is for exactly one purpose: write one for each."
    stated = span(consent.get("dateTime"), now.tzinfo or UTC)
    if stated is not None and stated[0] > now + _SKEW:
        yield "Consent.dateTime", "A Consent cannot have been given in the future."
    if isinstance(rule, dict) and rule.get("type") == "permit":
        for code in sorted(str(one) for one in named & BY_CODE.keys()):
            yield from _unnamed(consent, rule, code)
    if not terms.channels(consent) <= terms.CHANNELS:
        yield "Consent.extension", "This channel is not known here."
    if terms.level(consent) is None:
        yield "Consent.extension", "This level of anonymisation is not known here."


def _unnamed(consent: Json, rule: Json, code: str) -> Iterator[tuple[str, str]]:
    """What a permission for this purpose has to say and does not."""
    needed = BY_CODE[code].named
    if CHANNEL in needed and not terms.channels(consent):
        yield "Consent.extension", f"A permission for {code} names where it holds: extension {terms.CHANNEL}."
    if USE in needed and not terms.has(consent, terms.USE):
        yield "Consent.extension", f"A permission for {code} says how photos are used: extension {terms.USE}."
    if USE in needed and not {"sourceAttachment", "sourceReference"} & consent.keys():
        yield "Consent.source", f"A permission for {code} comes with what was signed."
    if END in needed and "end" not in rule.get("period", {}):
        yield "Consent.provision.period.end", f"A permission for {code} has an end."
    if ANONYMISATION in needed and not terms.has(consent, terms.ANONYMISATION):
        yield "Consent.extension", f"A permission for {code} says how unrecognisable: {terms.ANONYMISATION}."
