"""May this photograph go to the other server? Only where a Consent in force permits it and names them.

GDPR Art. 9(2)(a), 13(1)(e). The server decides whether it may be used at all; here it is asked for whom by name.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mappers.mapping.instants import with_offset, written
from mappers.mapping.json_text import Json

PURPOSE = "care-photography"
STAYS = "No consent in force names the other side: the photograph stays."
_RECIPIENT = "IRCP"
_DAY = len("YYYY-MM-DD")


def permits(decided: Json, consents: Iterable[Json], recipient: str, now: datetime) -> bool:
    """`decided`: what `Consent/$decide` said of the photograph with the recipient as `actor`."""
    said = [_parts(one) for one in decided.get("parameter", ()) if one.get("name") == "decided"]
    verdicts = [one.get("decision") for one in said if one.get("who") == recipient]
    return verdicts == ["permit"] and any(_names(one, recipient, now) for one in consents)


def _names(consent: Json, recipient: str, now: datetime) -> bool:
    rule = consent.get("provision", {})
    purposes = {one.get("code") for one in rule.get("purpose", ())}
    permits = consent.get("status") == "active" and rule.get("type") == "permit" and PURPOSE in purposes
    return permits and recipient in _recipients(rule) and not _is_over(rule.get("period", {}).get("end"), now)


def _is_over(end: str | None, now: datetime) -> bool:
    """A day, a month or a year lasts to its end."""
    if end is None:
        return False
    return end < written(now)[: len(end)] if len(end) <= _DAY else with_offset(end, "period.end") <= now


def _recipients(rule: Json) -> set[str]:
    return {
        str(one.get("reference", {}).get("reference"))
        for one in rule.get("actor", ())
        if any(coding.get("code") == _RECIPIENT for coding in one.get("role", {}).get("coding", ()))
    }


def _parts(decided: Json) -> dict[str, Any]:
    return {
        one["name"]: next((value for name, value in one.items() if name.startswith("value")), None)
        for one in decided.get("part", ())
    }
