"""Security labels: how confidential a resource is, what it is sensitive for, and whether a rule on labels speaks of it.

IHE PCF 1.1, advanced consents; R-PCF-004, R-PCF-014: unlabelled is normal, sensitive is at least restricted.
"""

from fhir_server.consent.match import Match
from fhir_server.kernel.json import Json

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_LEVELS = ("U", "L", "M", "N", "R", "V")
_NORMAL, _RESTRICTED = _LEVELS.index("N"), _LEVELS.index("R")
_SENSITIVE = frozenset(
    {
        *("ETH", "ETHUD", "OPIOIDUD", "SUD", "GDIS", "HIV", "MST", "SCA", "SDV", "SEX", "SPI", "BH", "COGN", "DVD"),
        *("EMOTDIS", "MH", "PSY", "PSYTHPN", "STD", "TBOO", "VIO", "SICKLE", "DV", "IDSV", "SA", "SB", "SEXREPRO"),
    }
)
"""v3-ActCode information sensitivity policies; obligations and other codes of that system are none."""


def sensitivities(resource: Json) -> frozenset[str]:
    return frozenset(code for system, code in _labels(resource) if system == _ACT_CODE and code in _SENSITIVE)


def stated_confidentiality(resource: Json) -> str:
    """The highest that is stated; normal without one, very restricted for one that is no code."""
    stated = [code for system, code in _labels(resource) if system == CONFIDENTIALITY]
    ranks = [_LEVELS.index(str(code)) if code in _LEVELS else len(_LEVELS) - 1 for code in stated]
    floor = [_RESTRICTED] if sensitivities(resource) else []
    return _LEVELS[max([*ranks, *floor], default=_NORMAL)]


def of_labels(rule: Json, confidentiality: str | None, sensitive: frozenset[str]) -> Match:
    """A rule without labels speaks of all.

    A permission speaks of exactly the level it names, or of data all of whose sensitivities it names; a refusal speaks
    of its level and whatever is above, and of data with any sensitivity it names.
    """
    if "securityLabel" not in rule:
        return Match.YES
    labels = rule["securityLabel"]
    if confidentiality is None or not isinstance(labels, list) or not all(isinstance(one, dict) for one in labels):
        return Match.UNSURE
    named = {(one.get("system"), one.get("code")) for one in labels}
    levels = {code for system, code in named if system == CONFIDENTIALITY and code in _LEVELS}
    kinds = {code for system, code in named if system == _ACT_CODE and code in _SENSITIVE}
    known = {(CONFIDENTIALITY, code) for code in levels} | {(_ACT_CODE, code) for code in kinds}
    rank = _LEVELS.index(confidentiality)
    if rule.get("type") == "permit":
        spoken = max(rank, _NORMAL) in map(_LEVELS.index, levels) or bool(sensitive and sensitive <= kinds)
    else:
        spoken = any(rank >= _LEVELS.index(code) for code in levels) or bool(sensitive & kinds)
    if spoken:
        return Match.YES
    return Match.UNSURE if named - known else Match.NO


def _labels(resource: Json) -> list[tuple[object, object]]:
    meta = resource.get("meta")
    labels = meta.get("security", []) if isinstance(meta, dict) else []
    return [(one.get("system"), one.get("code")) for one in labels if isinstance(one, dict)]
