"""A mapped resource laid over the one that is there: what the source owns is the source's, the rest stays.

The source owns the elements that its mapper filled, now or the last time. An older message changes nothing; one aspect
that was told later (a no-show, an answer) outlives an older whole. Who the patient is, once a person pointed to another
Patient, stays as that person said. Pure.
"""

from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import OURS
from mappers.mapping.json_text import Json
from mappers.mapping.result import Order
from mappers.mapping.stamps import ORDER, WHOLE, stamped, stamps

ELEMENTS = f"{OURS}:elements"
_NEVER = frozenset({"resourceType", "id", "meta", "extension", "identifier"})
_ANSWER = "participant "


def first(mapped: Json) -> Json:
    """What is made where nothing is there yet."""
    return _remembering(mapped, mapped)


def overlaid(current: Json, mapped: Json, *, part: bool) -> Json | None:
    """None where an equal or later message was there already."""
    [(aspect, order)] = stamps(mapped).items()
    known = stamps(current)
    if _is_late(aspect, order, known):
        return None
    if mapped.get("link") == []:
        mapped = _unlinking(current, mapped, is_linked=aspect in known)
    found = dict(current)
    if not part:
        for element in _remembered(current) - mapped.keys() - _NEVER:
            found.pop(element, None)
    found |= {element: value for element, value in mapped.items() if element not in _NEVER and element != "participant"}
    found["identifier"] = _joined(current, mapped, part=part)
    if said := [one for one in mapped.get("extension", ()) if one["url"] not in {ORDER, ELEMENTS}]:
        urls = {one["url"] for one in said}
        found["extension"] = [*(one for one in current.get("extension", ()) if one.get("url") not in urls), *said]
    if "participant" in mapped:
        found["participant"] = (_answered if part else _participants)(current, mapped, order, known)
    if not part and "status" in known and known["status"] > order and "status" in current:
        found["status"] = current["status"]
    if labels := _labels(current, mapped):
        found["meta"] = {**current.get("meta", {}), "security": labels}
    found = stamped({element: value for element, value in found.items() if value != []}, order, aspect)
    return found if part else _remembering(found, mapped)


def _unlinking(current: Json, mapped: Json, *, is_linked: bool) -> Json:
    """A merge of ours is taken back; who was never merged stays as they are, also should the merge come later."""
    if not is_linked:
        return {element: value for element, value in mapped.items() if element not in {"active", "link"}}
    return {**mapped, "link": [one for one in current.get("link", ()) if one.get("type") != "replaced-by"]}


def _is_late(aspect: str, order: Order, known: dict[str, Order]) -> bool:
    if aspect in known and order < known[aspect]:
        return True
    return (aspect == "status" or aspect.startswith(_ANSWER)) and WHOLE in known and order < known[WHOLE]


def _joined(current: Json, mapped: Json, *, part: bool) -> list[Json]:
    """Every identifier once; the newest word on how it is used counts. A part names, it does not add."""
    found = {_key(one): one for one in current.get("identifier", ())}
    if not part:
        found = {**{_key(one): one for one in mapped["identifier"]}, **_others(found, mapped)}
    return list(found.values())


def _others(found: dict[str, Json], mapped: Json) -> dict[str, Json]:
    named = {_key(one) for one in mapped["identifier"]}
    return {key: one for key, one in found.items() if key not in named}


def _key(identifier: Json) -> str:
    return f"{identifier.get('system')}|{identifier.get('value')}"


def _who(participant: Json) -> str:
    actor = participant.get("actor", {})
    return _key(actor["identifier"]) if "identifier" in actor else str(actor.get("reference") or actor.get("display"))


def _participants(current: Json, mapped: Json, order: Order, known: dict[str, Order]) -> list[Json]:
    there = {_who(one): one for one in current.get("participant", ())}
    patients = [one for one in there.values() if _is_patient(one)]
    found: list[Json] = []
    for one in mapped["participant"]:
        before = there.get(_who(one))
        if before is None and _is_provisional(one) and len(patients) == 1:
            before = patients[0]
        found.append(_kept(before, one, order, known) if before else one)
    told = {_who(one) for one in found}
    return [*found, *(one for key, one in there.items() if key not in told and _is_ours(one))]


def _kept(before: Json, now: Json, order: Order, known: dict[str, Order]) -> Json:
    """The actor as a person may have corrected it, and an answer that was given after this message was made."""
    value = before.get("actor", {}).get("identifier", {}).get("value")
    answer = known.get(f"{_ANSWER}{value}")
    later = answer is not None and answer > order
    return {**now, "actor": before["actor"], "status": before["status"] if later else now["status"]}


def _answered(current: Json, mapped: Json, order: Order, known: dict[str, Order]) -> list[Json]:
    answers = {_who(one): one["status"] for one in mapped["participant"]}
    there = current.get("participant", [])
    if not answers.keys() <= {_who(one) for one in there}:
        raise UnusableError("An answer is of somebody who takes no part.")
    return [{**one, "status": answers.get(_who(one), one["status"])} for one in there]


def _is_patient(participant: Json) -> bool:
    actor = participant.get("actor", {})
    return str(actor.get("reference", "")).startswith("Patient/")


def _is_provisional(participant: Json) -> bool:
    return str(participant["actor"].get("reference", "")).startswith("urn:uuid:")


def _is_ours(participant: Json) -> bool:
    """Added here, not by a source: those of a source bear its identifier, or are a place by name alone."""
    actor = participant.get("actor", {})
    return "reference" in actor and "identifier" not in actor


def _labels(current: Json, mapped: Json) -> list[Json]:
    there = current.get("meta", {}).get("security", [])
    return [*there, *(one for one in mapped.get("meta", {}).get("security", ()) if one not in there)]


def _remembered(current: Json) -> set[str]:
    texts = (one["valueString"] for one in current.get("extension", ()) if one.get("url") == ELEMENTS)
    return {element for text in texts for element in text.split(",")}


def _remembering(found: Json, mapped: Json) -> Json:
    names = ",".join(sorted(element for element in mapped if element not in _NEVER))
    others = [one for one in found.get("extension", ()) if one.get("url") != ELEMENTS]
    return {**found, "extension": [*others, {"url": ELEMENTS, "valueString": names}]}
