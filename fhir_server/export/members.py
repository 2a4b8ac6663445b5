"""Whose data an export holds: the members of a group, the patients that were named, or everybody.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#endpoint---group-of-patients; R-BULK-013, -016.
"""

from dataclasses import replace

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.visible import shown
from fhir_server.export.asked import Asked
from fhir_server.kernel.errors import InvalidRequestError, NotFoundError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json


async def members_of(engine: Engine, call: Call, asked: Asked) -> tuple[str, ...] | None:
    """Ids of patients; None for all that the client may see.

    Raises NotFoundError for a group that the client may not read, InvalidRequestError for a patient who is not in it or
    whom the client may not see.
    """
    everybody: tuple[str, ...] | None = None
    if asked.level == "group":
        reading = replace(call, interaction=Interaction.READ, type="Group", id=asked.group, operation=None)
        await engine.steps.admit(reading)
        everybody = _patients((await engine.look(reading)).resource)
    if not asked.patients:
        return everybody
    if everybody is not None and not set(asked.patients) <= set(everybody):
        raise InvalidRequestError("A patient who is named is not in the group.")
    for patient in asked.patients:
        reading = replace(call, interaction=Interaction.READ, type="Patient", id=patient, operation=None)
        stored = await engine.store.read(ResourceKey("Patient", patient))
        if stored is None or stored.deleted or await shown(engine.steps, reading, stored) is None:
            raise InvalidRequestError("A patient who is named is not there.")
    return asked.patients


def _patients(group: Json) -> tuple[str, ...]:
    """Those who are in it now."""
    if group.get("type") != "person":
        raise NotFoundError("This is no group of patients.")
    found = []
    for member in group.get("member", []):
        key = parse_reference(member.get("entity", {}).get("reference", ""))
        if key and key.type == "Patient" and member.get("inactive") is not True:
            found.append(key.id)
    return tuple(dict.fromkeys(found))
