"""Which profile, codes and roles each interaction has in the log: one table, and its constant bytes made once.

IHE BALP 1.1, R-BALP-001 to 008. Read turns source and destination round; Delete has roles of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.engine.call import Interaction
from fhir_server.kernel.json import Json, encode

PROFILES = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
TOKEN_PROFILE = f"{PROFILES}OAUTHaccessTokenUse.Minimal"
CONSENT_PROFILE = f"{PROFILES}AuthZconsent"

DCM = "http://dicom.nema.org/resources/ontology/DCM"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
USER_AGENTS = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
_CUSTODIANS = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_INTERACTIONS = "http://hl7.org/fhir/restful-interaction"
_EVENTS = "http://terminology.hl7.org/CodeSystem/audit-event-type"

_SOURCE, _DESTINATION, _APPLICATION = (DCM, "110153"), (DCM, "110152"), (DCM, "110150")
_CUSTODIAN = (_CUSTODIANS, "custodian")
_RECIPIENT, _AUTHOR = (PARTICIPATION, "IRCP"), (PARTICIPATION, "AUT")


@dataclass(frozen=True, slots=True)
class Shape:
    """How one kind of interaction is recorded. `profile` is empty where BALP has none for it."""

    profile: str
    action: str
    client: tuple[str, str]
    server: tuple[str, str]
    user: tuple[str, str]


CREATE = Shape("Create", "C", _SOURCE, _DESTINATION, _AUTHOR)
READ = Shape("Read", "R", _DESTINATION, _SOURCE, _RECIPIENT)
UPDATE = Shape("Update", "U", _SOURCE, _DESTINATION, _AUTHOR)
DELETE = Shape("Delete", "D", _APPLICATION, _CUSTODIAN, _AUTHOR)
QUERY = Shape("Query", "E", _SOURCE, _DESTINATION, _RECIPIENT)
HISTORY = Shape("", "R", _DESTINATION, _SOURCE, _RECIPIENT)
OTHER = Shape("", "E", _SOURCE, _DESTINATION, _AUTHOR)

SHAPES: Mapping[Interaction, Shape] = {
    Interaction.READ: READ,
    Interaction.VREAD: READ,
    Interaction.CREATE: CREATE,
    Interaction.UPDATE: UPDATE,
    Interaction.PATCH: UPDATE,
    Interaction.DELETE: DELETE,
    Interaction.SEARCH_TYPE: QUERY,
    Interaction.SEARCH_SYSTEM: QUERY,
    Interaction.HISTORY_INSTANCE: HISTORY,
    Interaction.HISTORY_TYPE: HISTORY,
    Interaction.HISTORY_SYSTEM: HISTORY,
    Interaction.BATCH: OTHER,
    Interaction.TRANSACTION: OTHER,
    Interaction.CAPABILITIES: HISTORY,
    Interaction.OPERATION: OTHER,
}


def coding(system: str, code: str) -> Json:
    return {"system": system, "code": code}


def concept(pair: tuple[str, str]) -> Json:
    return {"coding": [coding(*pair)]}


def members(value: Json) -> bytes:
    """A JSON object's members without its braces, to be joined with others."""
    return encode(value)[1:-1]


@dataclass(frozen=True, slots=True)
class Pattern:
    """The constant bytes of one interaction.

    `claims` holds the meta of a success, by: is a patient named, is there a token; `unclaimed` that of one without its
    required entity. `disclosed` is `what` of a disclosure. `client`, `server` and `user` begin those agents, up to who
    it is.
    """

    shape: Shape
    claims: Mapping[tuple[bool, bool], bytes]
    unclaimed: Mapping[bool, bytes]
    what: bytes
    disclosed: bytes
    client: bytes
    server: bytes
    user: bytes


def _claim(profiles: list[str]) -> bytes:
    return members({"meta": {"profile": profiles}}) + b"," if profiles else b""


def _pattern(interaction: Interaction, shape: Shape) -> Pattern:
    def profiles(*, patient: bool, token: bool) -> list[str]:
        own = [f"{PROFILES}{'Patient' * patient}{shape.profile}"] if shape.profile else []
        return own + [TOKEN_PROFILE] * token

    what = {
        "type": coding(_EVENTS, "rest"),
        "subtype": [coding(_INTERACTIONS, interaction.value)],
        "action": shape.action,
    }
    cases = [(patient, token) for patient in (False, True) for token in (False, True)]
    return Pattern(
        shape,
        {(patient, token): _claim(profiles(patient=patient, token=token)) for patient, token in cases},
        {token: _claim([TOKEN_PROFILE] * token) for token in (False, True)},
        members(what),
        members({**what, "subtype": [coding(_INTERACTIONS, interaction.value), coding(_LIFECYCLE, "disclose")]}),
        b"{" + members({"type": concept(shape.client)}) + b',"who":{"identifier":{"value":',
        b"{" + members({"type": concept(shape.server), "requestor": False}) + b",",
        b"{" + members({"type": concept(shape.user), "requestor": True}) + b',"who":{"reference":',
    )


DISCLOSURES = frozenset({"share"})
"""Operations by which something leaves for somebody outside: recorded as that besides what they are."""


PATTERNS: Mapping[Interaction, Pattern] = {kind: _pattern(kind, shape) for kind, shape in SHAPES.items()}
