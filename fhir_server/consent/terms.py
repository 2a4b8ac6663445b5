"""What this server adds to a Consent, as extensions: where, how and how unrecognisably photos are used, and its end.

Requirements S42, S76 to S78, T83, T84, T97; IHE PCF 1.1 leaves extensions of the Consent itself open.
"""

from collections.abc import Iterator

from fhir_server.kernel.json import Json

_OWN = "urn:aesthetic-fhir-server"
CHANNEL = f"{_OWN}:consent-channel"
USE = f"{_OWN}:consent-use"
ANONYMISATION = f"{_OWN}:anonymisation"
WITHDRAWN_AT = f"{_OWN}:withdrawn-at"
WITHDRAWN_BY = f"{_OWN}:withdrawn-by"
"""How a withdrawal came in: `patient`, `phone`, `letter`, `link` …"""
SUPERSEDED_BY = f"{_OWN}:superseded-by"

NOT_YET = frozenset({"draft", "proposed"})
"""The status of a Consent that never had force."""

LEVELS = ("identifiable", "eyes-masked", "face-masked", "anonymous")
"""How little of somebody a rendition shows, in rising order."""

CHANNELS = frozenset(
    {
        *("email", "sms", "phone", "post", "app"),
        *("website", "print", "instagram", "facebook", "tiktok", "youtube", "linkedin", "x", "journal", "congress"),
    }
)


def channels(consent: Json) -> frozenset[object]:
    """Where it may be used; empty where the consent does not say."""
    return frozenset(codes(consent, CHANNEL))


def level(consent: Json) -> int | None:
    """How unrecognisable a rendition must be at least, as a place in LEVELS; None for one that is not known."""
    stated = codes(consent, ANONYMISATION)
    if any(one not in LEVELS for one in stated):
        return None
    return max((LEVELS.index(str(one)) for one in stated), default=0)


def has(consent: Json, url: str) -> bool:
    return any(True for _ in _extensions(consent, url))


def in_force(consent: Json) -> bool:
    return consent.get("resourceType") == "Consent" and consent.get("status") == "active"


def withdrawn(consent: Json) -> bool:
    """Withdrawn, and no newer signature has taken its place."""
    ended = consent.get("resourceType") == "Consent" and consent.get("status") == "inactive"
    return ended and has(consent, WITHDRAWN_AT) and not has(consent, SUPERSEDED_BY)


def stands(consent: Json) -> bool:
    """Does this version of a Consent belong into its patient's head row? A withdrawal goes on to be respected."""
    return in_force(consent) or withdrawn(consent)


def adding(consent: Json, *extensions: Json) -> Json:
    return {**consent, "extension": [*consent.get("extension", []), *extensions]}


def _extensions(consent: Json, url: str) -> Iterator[Json]:
    found = consent.get("extension")
    return (
        one for one in (found if isinstance(found, list) else []) if isinstance(one, dict) and one.get("url") == url
    )


def instants(consent: Json, url: str) -> list[object]:
    return [extension.get("valueInstant") for extension in _extensions(consent, url)]


def codes(consent: Json, url: str) -> list[object]:
    return [extension.get("valueCode") for extension in _extensions(consent, url)]
