"""Tables between the words of a source and FHIR's codes: ConceptMaps, read from files beside the code.

https://hl7.org/fhir/R4/conceptmap.html
"""

from functools import cache
from importlib.resources import files

from mappers.mapping.json_text import Json, decode_object


@cache
def concept_map(name: str) -> Json:
    return decode_object((files("mappers") / "concept_maps" / f"{name}.json").read_bytes())


@cache
def _table(name: str) -> dict[str, str]:
    """A code that is `unmatched` has no target and is in no table."""
    return {
        element["code"]: target["code"]
        for group in concept_map(name)["group"]
        for element in group["element"]
        for target in element.get("target", ())
        if "code" in target
    }


def translated(name: str, code: str | None) -> str | None:
    """The code that the table has for it, or None; a capital more or less makes no other word."""
    table = _table(name)
    return None if code is None else table.get(code) or table.get(code.lower())
