"""What is asked of the patient's consents, and the two answers.

Architecture section 9: (consents, person, purpose, channel, rendition, the resource's facts; instant) -> Permit(basis)
or Deny(reason).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fhir_server.consent.facts import Facts
from fhir_server.engine.change import LegalBasis
from fhir_server.kernel.identity import ResourceKey


class Matter(StrEnum):
    """What kind of data it is: a photo needs a positive basis; proof is kept by law and shown whatever was refused."""

    PHOTO = "photo"
    RECORD = "record"
    PROOF = "proof"


class Reason(StrEnum):
    """Why not. In rising order of how near some consent came to permitting."""

    NO_CONSENT = "no-consent"
    OTHER_PURPOSE = "other-purpose"
    OUTSIDE_PERIOD = "outside-period"
    WITHDRAWN = "withdrawn"
    OTHER_CHANNEL = "other-channel"
    NOT_COVERED = "not-covered"
    NOT_ANONYMISED = "not-anonymised"
    TAKEN_BEFORE = "taken-before"
    NOT_UNDERSTOOD = "not-understood"
    NOT_SPECIFIC = "not-specific"
    REFUSED = "refused"
    TREATMENT_ENDED = "treatment-ended"
    NOT_CURRENT = "not-current"


_SENTENCES: Mapping[Reason, str] = {
    Reason.NO_CONSENT: "There is no consent on file.",
    Reason.OTHER_PURPOSE: "No consent in force is for this purpose.",
    Reason.OUTSIDE_PERIOD: "The consent for this purpose is not valid at this time.",
    Reason.WITHDRAWN: "The consent for this purpose was withdrawn.",
    Reason.OTHER_CHANNEL: "The consent for this purpose does not name this channel.",
    Reason.NOT_COVERED: "The consent for this purpose does not cover this resource or this party.",
    Reason.NOT_ANONYMISED: "The consent for this purpose asks for a rendition that shows less of the person.",
    Reason.TAKEN_BEFORE: "The photo is dated before the consent was given.",
    Reason.NOT_UNDERSTOOD: "The consent for this purpose has a restriction that this server cannot evaluate.",
    Reason.NOT_SPECIFIC: "The consent does not name exactly one purpose.",
    Reason.REFUSED: "A consent in force refuses this purpose.",
    Reason.TREATMENT_ENDED: "The consent to treatment has ended or was refused; nothing new is taken.",
    Reason.NOT_CURRENT: "A consent in force could not be had in its current version.",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """`purpose` is a name that purposes.canonical gives, `actor` the party that asks, `patient` an id.

    `instant` carries the clinic's time zone: a consent until `2026-03-31` ends with that day at the clinic.
    `profession` is the role in which the actor acts, `channel` where it is to be used (terms.CHANNELS), `rendition` how
    little of the person it shows (a place in terms.LEVELS). `taking`: a new photo, not the use of one that is there.
    `emergency`: the actor broke the glass before this patient; it counts for care alone.
    """

    patient: str
    purpose: str
    instant: datetime
    resource: ResourceKey | None = None
    actor: ResourceKey | None = None
    matter: Matter = Matter.PHOTO
    facts: Facts | None = None
    profession: str | None = None
    channel: str | None = None
    rendition: int = 0
    taking: bool = False
    emergency: bool = False

    @property
    def is_own(self) -> bool:
        """Do the patients themselves ask?"""
        return self.actor == ResourceKey("Patient", self.patient)


@dataclass(frozen=True, slots=True)
class Permit:
    """What it rests on, with the patient's epoch in which that held."""

    basis: LegalBasis


@dataclass(frozen=True, slots=True)
class Deny:
    """`consent` and `version` name the Consent that refuses, where one does."""

    reason: Reason
    consent: ResourceKey | None = None
    version: int | None = None

    @property
    def text(self) -> str:
        """One plain sentence; nothing in it comes from a resource."""
        return _SENTENCES[self.reason]
