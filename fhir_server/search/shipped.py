"""The search parameters that this server adds to R4's, in force in every clinic.

https://hl7.org/fhir/R4/searchparameter.html. They are data: `…_parameters.json`, SearchParameters as a clinic's own.
"""

from collections.abc import Mapping, Sequence
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
    return sha256(b"".join(_texts())).hexdigest()[:8]


@cache
def resources() -> Sequence[Json]:
    """The SearchParameters. Shared by all who ask, so never change them."""
    return [entry["resource"] for text in _texts() for entry in json.decode_trusted(text)["entry"]]


@cache
def _shipped() -> Mapping[str, Mapping[str, SearchParameter]]:
    found: dict[str, dict[str, SearchParameter]] = {}
    for one in resources():
        parameter = SearchParameter(one["code"], one["type"], one["expression"], frozenset(one.get("target", ())))
        for type_name in one["base"]:
            found.setdefault(type_name, {})[parameter.code] = parameter
    return found


def _texts() -> list[bytes]:
    """In the order of the files' names, so that every process has the same digest."""
    found = (each for each in files("fhir_server.search").iterdir() if each.name.endswith("_parameters.json"))
    return [each.read_bytes() for each in sorted(found, key=lambda each: each.name)]
