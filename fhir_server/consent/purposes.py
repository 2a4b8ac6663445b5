"""What a patient can agree to, as data, and the one name that each purpose has here.

Requirements S36, S39 to S42, S69 to S71: one Consent per purpose, and no purpose implies another.
https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.purpose
"""

from dataclasses import dataclass

SYSTEM = "urn:aesthetic-fhir-server:purpose"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CARE_PHOTOGRAPHY = "care-photography"


@dataclass(frozen=True, slots=True)
class Purpose:
    """`act_reason` is the v3-ActReason code that means exactly the same; most have none."""

    code: str
    display: str
    act_reason: str | None = None


PURPOSES = (
    Purpose("treatment", "Treatment", "TREAT"),
    Purpose(CARE_PHOTOGRAPHY, "Photographs as part of care"),
    Purpose("photo-followup", "Photographs that follow up a treatment"),
    Purpose("photo-marketing", "Photographs in the clinic's own marketing"),
    Purpose("photo-social", "Photographs on social media"),
    Purpose("communications", "Messages from the clinic"),
    Purpose("training", "Training of staff and colleagues", "TRAIN"),
    Purpose("research", "Research", "HRESCH"),
    Purpose("publication-journal", "Publication in a professional journal"),
    Purpose("marketing", "Marketing", "HMARKT"),
)

_PHOTOS_FOR = {"HMARKT": "photo-marketing"}
"""What a photo is shown for where it is not shown for care, by the purpose of the call."""

_OWN = frozenset(purpose.code for purpose in PURPOSES)
_SAME = {purpose.act_reason: purpose.code for purpose in PURPOSES if purpose.act_reason}
_EVERYTHING = frozenset({"*", "PurposeOfUse"})


def canonical(coding: object) -> str | None:
    """The one name of a purpose: `care-photography`, or `system|code` for one that is not ours.

    None for a wildcard and for a coding without system or code: it could mean anything.
    """
    if not isinstance(coding, dict):
        return None
    system, code = coding.get("system"), coding.get("code")
    if not isinstance(system, str) or not isinstance(code, str) or not system or not code or code in _EVERYTHING:
        return None
    if system == SYSTEM and code in _OWN:
        return code
    if system == ACT_REASON:
        return _SAME.get(code, f"{ACT_REASON}|{code}")
    return f"{system}|{code}"


def photo_purpose(code: str) -> str:
    """The consent that a photo needs when it is asked for with this v3-ActReason code."""
    return _PHOTOS_FOR.get(code, CARE_PHOTOGRAPHY)


def from_act_reason(code: str) -> str:
    """The one name of the purpose that a call states as a v3-ActReason code."""
    return _SAME.get(code, f"{ACT_REASON}|{code}")
