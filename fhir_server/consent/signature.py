"""A form that was filled in and signed, as it came, and whether the signature is one that counts.

Requirements S104, T89, T90; https://hl7.org/fhir/R4/datatypes.html#Signature; eIDAS Art. 25.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fhir_server.consent.form import Form
from fhir_server.consent.period import span
from fhir_server.kernel.errors import ConflictError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Sitting:
    """What one sitting brought.

    `authority`: the document by which a representative signs. `collector` took the signature down. `treatment`: what it
    is for, as a code of a jurisdiction's bans.
    """

    patient: str
    form: Form
    response: Json
    signature: Json
    signer: ResourceKey
    authority: ResourceKey | None = None
    collector: ResourceKey | None = None
    organization: ResourceKey | None = None
    treatment: str | None = None

    @property
    def when(self) -> str:
        return str(self.signature["when"])


def require_signed(sitting: Sitting, now: datetime) -> datetime:
    """The instant of the signature. 422 for one that is none, 409 for one of another time."""
    place = "Parameters.parameter.valueSignature"
    when = sitting.signature.get("when")
    found = span(when, UTC) if isinstance(when, str) and _INSTANT.fullmatch(when) else None
    if found is None:
        raise UnprocessableError("A signature has an instant with its time zone.", expression=f"{place}.when")
    if not sitting.signature.get("data"):
        raise UnprocessableError("A signature without data is none.", expression=f"{place}.data")
    who = sitting.signature.get("who")
    if not isinstance(who, dict) or who.get("reference") != str(sitting.signer):
        raise UnprocessableError("The signature is not the signer's.", expression=f"{place}.who")
    if abs(found[0] - now) > _SKEW:
        raise ConflictError("The signature is of another time than now: neither back- nor forward-dated.")
    return found[0]
