"""What a patient can agree to, as data, and the one name that each purpose has here.

Requirements S36, S39 to S42, S69 to S71: one Consent per purpose, and no purpose implies another.
https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.purpose
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

SYSTEM = "urn:aesthetic-fhir-server:purpose"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
TREATMENT = "treatment"
CARE_PHOTOGRAPHY = "care-photography"
COMMUNICATIONS = "communications"
FACE_RECOGNITION = "face-recognition"
BREAK_GLASS = f"{ACT_REASON}|BTG"


@dataclass(frozen=True, slots=True)
class Purpose:
    """`act_reason` is the v3-ActReason code that means exactly the same; most have none.

    `named`: what a permission for it must name beside the purpose (S76 to S78, T83, T84).
    """

    code: str
    display: str
    act_reason: str | None = None
    named: frozenset[str] = frozenset()


CHANNEL, USE, END, ANONYMISATION = "channel", "use", "end", "anonymisation"
_PUBLISHED = frozenset({CHANNEL, USE, END, ANONYMISATION})

PURPOSES = (
    Purpose(TREATMENT, "Treatment", "TREAT"),
    Purpose(CARE_PHOTOGRAPHY, "Photographs as part of care"),
    Purpose("photo-followup", "Photographs that follow up a treatment"),
    Purpose("photo-marketing", "Photographs in the clinic's own marketing", named=frozenset({CHANNEL, USE})),
    Purpose("photo-social", "Photographs on social media", named=_PUBLISHED),
    Purpose(COMMUNICATIONS, "Messages from the clinic", named=frozenset({CHANNEL})),
    Purpose("training", "Training of staff and colleagues", "TRAIN"),
    Purpose("research", "Research", "HRESCH"),
    Purpose("publication-journal", "Publication in a professional journal", named=_PUBLISHED),
    Purpose("marketing", "Marketing", "HMARKT"),
    Purpose(FACE_RECOGNITION, "Recognising a face by a template of it"),
)
BY_CODE = {purpose.code: purpose for purpose in PURPOSES}

MARKETING = frozenset({"photo-marketing", "photo-social", "marketing", "publication-journal"})
"""Refused by default where the patient is a minor."""

CARE = frozenset({TREATMENT, f"{ACT_REASON}|HPAYMT", f"{ACT_REASON}|HOPERAT"})
"""Treatment with the billing and the running of the clinic that it needs: IHE PCF's basic consents name them together,
and together they are one purpose."""

_OWN = frozenset(BY_CODE)
_SAME = {purpose.act_reason: purpose.code for purpose in PURPOSES if purpose.act_reason}
_EVERYTHING = frozenset({"*", "PurposeOfUse"})
EMERGENCIES = frozenset({BREAK_GLASS, f"{ACT_REASON}|ETREAT"})
"""The purposes under which somebody acts who broke the glass; together they are one."""


def canonical(coding: object) -> str | None:
    """The one name of a purpose: `care-photography`, or `system|code` for one that is not ours.

    None for a wildcard and for a coding without system or code: it could mean anything.
    """
    if not isinstance(coding, dict):
        return None
    system, code = coding.get("system"), coding.get("code")
    if not isinstance(system, str) or not isinstance(code, str) or not system or not code or code in _EVERYTHING:
        return None
    return _canonical(system, code)


@lru_cache(maxsize=1024)
def _canonical(system: str, code: str) -> str:
    if system == SYSTEM and code in _OWN:
        return code
    if system == ACT_REASON:
        return _SAME.get(code, f"{ACT_REASON}|{code}")
    return f"{system}|{code}"


def coded(code: str) -> dict[str, str]:
    """A purpose of ours as a Coding: as v3-ActReason where that says the same, so that others understand it."""
    purpose = BY_CODE[code]
    if purpose.act_reason:
        return {"system": ACT_REASON, "code": purpose.act_reason, "display": purpose.display}
    return {"system": SYSTEM, "code": code, "display": purpose.display}


def from_act_reason(code: str) -> str:
    """The one name of the purpose that a call states as a v3-ActReason code."""
    return _SAME.get(code, f"{ACT_REASON}|{code}")


def of_photos(purpose: str) -> str:
    """What a purpose means where the data is a photo: whoever does not ask for one of ours asks for care."""
    if purpose == "marketing":
        return "photo-marketing"
    return purpose if purpose in _OWN and purpose != TREATMENT else CARE_PHOTOGRAPHY


def of_call(code: str) -> str:
    """The purpose of a call by its v3-ActReason code. To administer a patient's care is part of treating them."""
    return TREATMENT if code == "PATADMIN" else from_act_reason(code)


def needs_consent(purpose: str) -> bool:
    """Is it one that only a consent allows? Law, one's own request and running the clinic do not."""
    return purpose != TREATMENT and (purpose in _OWN or not purpose.startswith(f"{ACT_REASON}|"))


def is_care(purpose: str) -> bool:
    """Treatment, and what an emergency makes of it."""
    return purpose == TREATMENT or purpose in EMERGENCIES


def is_one(named: Collection[str | None]) -> bool:
    """Do these name exactly one purpose?"""
    one = len(set(named)) == 1 or set(named) == EMERGENCIES or (TREATMENT in named and CARE.issuperset(named))
    return None not in named and one
