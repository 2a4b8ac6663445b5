"""Whence a resource is: a Provenance that names the raw message by its SHA-256, and the mapper that read it.

https://hl7.org/fhir/R4/provenance.html. Its id is of the message, so that the same message has one Provenance.
"""

from collections.abc import Sequence

from mappers.mapping.entries import under
from mappers.mapping.identifiers import OURS, identifier, resource_id
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json
from mappers.mapping.message import Message

SHA_256 = f"{OURS}:sha-256"
CONNECTOR = f"{OURS}:connector"
_TRANSFORM = {"system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "code": "transform"}
_ASSEMBLER = {"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "assembler"}


def provenance(system: str, message: Message, targets: Sequence[str]) -> Json:
    """An entry; `targets` are fullUrls of the same Bundle."""
    return under(
        resource_id(SHA_256, system, message.sha256, *targets),
        {
            "resourceType": "Provenance",
            "target": [{"reference": target} for target in targets],
            "recorded": written(message.received),
            "activity": {"coding": [_TRANSFORM]},
            "agent": [
                {
                    "type": {"coding": [_ASSEMBLER]},
                    "who": {"type": "Device", "identifier": identifier(CONNECTOR, system)},
                }
            ],
            "entity": [{"role": "source", "what": {"identifier": identifier(SHA_256, message.sha256)}}],
        },
    )
