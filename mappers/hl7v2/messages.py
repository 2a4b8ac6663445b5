"""Any HL7 v2 message that is known here -> Mapping: which reader it goes to, how it is told from another one.

A message is known by its control id and who sent it; it is later than another by MSH-7, then by its control id.
"""

from mappers.hl7v2 import adt, documents, siu
from mappers.hl7v2.fields import moment, source_of, zone_of
from mappers.hl7v2.parsing import Parsed, parsed
from mappers.mapping.assembly import mapping
from mappers.mapping.faults import UnusableError
from mappers.mapping.instants import sortable
from mappers.mapping.json_text import Json
from mappers.mapping.message import Message, Tables
from mappers.mapping.result import Loss, Mapping, Order

NAME = "hl7v2"
_KNOWN = {"ADT": adt.TRIGGERS, "SIU": siu.TRIGGERS, "ORU": documents.TRIGGERS, "MDM": documents.TRIGGERS}
_WIDTH = 20


class UnsupportedError(UnusableError):
    """It is HL7 v2, and not of a kind that is taken: HL7 table 0357, 200 and 201."""


def read(message: Message, tables: Tables) -> Mapping:
    return mapped(parsed(message.raw), message, tables)


def mapped(found: Parsed, message: Message, tables: Tables) -> Mapping:
    if found.trigger not in _KNOWN.get(found.type, frozenset()):
        raise UnsupportedError("MSH-9 is not a message that is taken here.")
    if not found.control_id:
        raise UnusableError("MSH-10 is missing.")
    if (found.header.text(11) or "P") != "P":
        raise UnsupportedError("MSH-11: this is no message about real events.")
    zone, source = zone_of(found, tables), source_of(found)
    sent = moment(found.header.text(7), zone, "MSH-7")
    if sent is None:
        raise UnusableError("MSH-7 is missing.")
    order = Order(0, sortable(sent), found.control_id.zfill(_WIDTH))
    lost: list[Loss] = []
    entries: list[Json]
    if found.type == "ADT":
        entries, lost = adt.entries(found, source, zone, order, tables)
    elif found.type == "SIU":
        entries = siu.entries(found, source, zone, tables)
    else:
        entries = documents.entries(found, source, zone, tables)
    unsure = [entry for entry in entries if entry["resource"]["resourceType"] == "Patient" and not _is_part(entry)]
    key = f"{source}|{found.control_id}"
    made = mapping(NAME, message, key, order, entries, [*lost, *found.losses()], unsure=unsure)
    return made.continuing() if found.type == "SIU" and found.trigger not in siu.FIRST else made


def _is_part(entry: Json) -> bool:
    return "meta" in entry["resource"]
