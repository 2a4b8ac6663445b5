"""The search parameters that this server adds to R4's, in force in every clinic: what R4 lacks to follow a lot.

https://hl7.org/fhir/R4/searchparameter.html. They are data: `own_parameters.json`, SearchParameters as a clinic's own.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files

from fhir_server.fhir.definitions import SearchParameter
from fhir_server.kernel import json
from fhir_server.kernel.json import Json


def shipped(type_name: str) -> Mapping[str, SearchParameter]:
    """Code -> parameter."""
    return _shipped().get(type_name, {})


def digest_of_shipped() -> str:
    """Tells apart versions of them."""
    return sha256(_text()).hexdigest()[:8]


@cache
def _shipped() -> Mapping[str, Mapping[str, SearchParameter]]:
    found: dict[str, dict[str, SearchParameter]] = {}
    bundle: Json = json.decode_trusted(_text())
    for one in (entry["resource"] for entry in bundle["entry"]):
        parameter = SearchParameter(one["code"], one["type"], one["expression"], frozenset(one.get("target", ())))
        for type_name in one["base"]:
            found.setdefault(type_name, {})[parameter.code] = parameter
    return found


def _text() -> bytes:
    return files("fhir_server.search").joinpath("own_parameters.json").read_bytes()
