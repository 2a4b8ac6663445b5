"""A Parameters resource whose names may repeat, as the input of an operation; nothing that is not known.

https://hl7.org/fhir/R4/parameters.html
"""

from collections.abc import Collection
from typing import Any

from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json

_MOST = 100


class Given:
    """What an operation was given. Raises InvalidRequestError for no Parameters and for a name that is not known."""

    def __init__(self, body: object, known: Collection[str]) -> None:
        parameters = body.get("parameter", []) if isinstance(body, dict) else None
        if not isinstance(body, dict) or body.get("resourceType") != "Parameters" or not isinstance(parameters, list):
            raise InvalidRequestError("The operation takes a Parameters resource.")
        if len(parameters) > _MOST or not all(isinstance(one, dict) and one.get("name") in known for one in parameters):
            raise InvalidRequestError(f"The operation has the parameters {', '.join(sorted(known))}, {_MOST} at most.")
        self._parameters: list[Json] = parameters

    def one(self, name: str, kinds: Collection[str], default: str | None = None) -> str:
        """The one text value of a name, of one of these `value[x]`."""
        found = [one for one in self._parameters if one["name"] == name]
        if not found and default is not None:
            return default
        values = [one[kind] for one in found for kind in kinds if isinstance(one.get(kind), str)]
        if len(found) != 1 or len(values) != 1:
            raise _wrong(name, kinds)
        return str(values[0])

    def flag(self, name: str) -> bool:
        """False where it is not given."""
        found = [one.get("valueBoolean") for one in self._parameters if one["name"] == name]
        if len(found) > 1 or any(not isinstance(one, bool) for one in found):
            raise _wrong(name, ["valueBoolean"])
        return found == [True]

    def several(self, name: str, kinds: Collection[str]) -> tuple[str, ...]:
        """Every text value of a name, of one of these `value[x]`."""
        found = [one for one in self._parameters if one["name"] == name]
        values = [next((one[kind] for kind in kinds if isinstance(one.get(kind), str)), None) for one in found]
        if None in values:
            raise _wrong(name, kinds)
        return tuple(map(str, values))

    def references(self, name: str) -> tuple[ResourceKey, ...]:
        """What the references of a name lead to; 422 for one that leads to no resource of this server."""
        found = [one.get("valueReference") for one in self._parameters if one["name"] == name]
        keys = [parse_reference(str(one.get("reference", ""))) if isinstance(one, dict) else None for one in found]
        if None in keys:
            raise _wrong(name, ["valueReference to a resource of this server"])
        return tuple(key for key in keys if key)

    def reference(self, name: str, type: str, base: str) -> str:
        """The id that the one reference of a name leads to, of this type."""
        found = [one.get("valueReference") for one in self._parameters if one["name"] == name]
        said = found[0].get("reference") if len(found) == 1 and isinstance(found[0], dict) else None
        kind, _, id = str(said).removeprefix(f"{base}/").partition("/")
        if kind != type or not id or "/" in id:
            raise _wrong(name, [f"valueReference to {type}"])
        return id

    def resource(self, name: str, type: str) -> Json | None:
        """The one resource of a name; None where there is none."""
        found = [one.get("resource") for one in self._parameters if one["name"] == name]
        if not found:
            return None
        if len(found) != 1 or not isinstance(found[0], dict) or found[0].get("resourceType") != type:
            raise _wrong(name, [f"a {type}"])
        return found[0]

    def keys(self, name: str, types: Collection[str], base: str) -> tuple[ResourceKey, ...]:
        """What the references of a name lead to, each of one of these types."""
        found = []
        for one in self._parameters:
            if one["name"] == name:
                value = one.get("valueReference")
                said = value.get("reference") if isinstance(value, dict) else None
                key = parse_reference(str(said).removeprefix(f"{base}/"))
                if key is None or key.type not in types:
                    raise _wrong(name, [f"valueReference to {' or '.join(sorted(types))}"])
                found.append(key)
        return tuple(dict.fromkeys(found))

    def parts(self, name: str, numbers: Collection[str]) -> list[dict[str, int]]:
        """Of each parameter of a name its parts, all of them whole numbers."""
        return [self._numbers(name, one.get("part"), numbers) for one in self._parameters if one["name"] == name]

    def _numbers(self, name: str, parts: Any, numbers: Collection[str]) -> dict[str, int]:  # noqa: ANN401  JSON is any value
        found: dict[str, int] = {}
        for part in parts if isinstance(parts, list) else []:
            value = part.get("valueInteger", part.get("valueUnsignedInt")) if isinstance(part, dict) else None
            if isinstance(value, int) and not isinstance(value, bool):
                found[str(part.get("name"))] = value
        if found.keys() != set(numbers):
            raise _wrong(name, [f"parts {', '.join(numbers)} with valueInteger"])
        return found


def _wrong(name: str, kinds: Collection[str]) -> UnprocessableError:
    return UnprocessableError(f"{name} is given once, as {' or '.join(kinds)}.", expression="Parameters.parameter")
