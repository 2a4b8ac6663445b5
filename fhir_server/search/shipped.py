"""Search parameters that this server brings beside R4's: those of its own extensions, as data.

https://hl7.org/fhir/R4/searchparameter.html; requirements B2, T63.
"""

from functools import cache
from importlib.resources import files

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.search.custom import Definitions, taken

RAW = files("fhir_server.search").joinpath("shipped.json").read_bytes()


@cache
def resources() -> tuple[Json, ...]:
    """The SearchParameters. Shared by all who ask, so never change them."""
    return tuple(entry["resource"] for entry in json.decode_trusted(RAW)["entry"])


@cache
def shipped() -> Definitions:
    """In force wherever the index was built by the rules of this code."""
    found = taken(resources())
    assert not found.problems, "what is shipped is understood"
    return found.definitions
