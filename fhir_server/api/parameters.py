"""What an operation is given: a Parameters resource, read by name.

https://hl7.org/fhir/R4/parameters.html, https://hl7.org/fhir/R4/operations.html#request
"""

from fhir_server.fhir.validation import validate
from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json


class Parameters:
    """Each name at most once; one that the operation does not know is refused, not ignored."""

    def __init__(self, body: object, known: frozenset[str]) -> None:
        if body is None:
            body = {"resourceType": "Parameters"}
        if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
            raise InvalidRequestError("The operation takes a Parameters resource.")
        validate(body)
        self._found: dict[str, Json] = {}
        for place, parameter in enumerate(body.get("parameter", [])):
            name = parameter["name"]
            if name not in known or name in self._found:
                raise InvalidRequestError(
                    "The operation has no such parameter, or takes it once.",
                    expression=f"Parameters.parameter[{place}].name",
                )
            self._found[name] = parameter

    def text(self, name: str, *types: str) -> str | None:
        """The value as one of these types (`valueCode`)."""
        found = self._found.get(name, {})
        return next((str(found[type]) for type in types if isinstance(found.get(type), str)), None)

    def reference(self, name: str) -> ResourceKey | None:
        """422 for one that leads elsewhere than to a resource of this server."""
        if name not in self._found:
            return None
        value = self._found[name].get("valueReference", {})
        key = parse_reference(str(value.get("reference", "")))
        if key is None:
            raise UnprocessableError(f"{name} is a reference to a resource of this server.", expression=name)
        return key

    def resource(self, name: str) -> Json:
        found = self._found.get(name, {}).get("resource")
        return found if isinstance(found, dict) else _missing(name)

    def value(self, name: str, type: str) -> Json:
        found = self._found.get(name, {}).get(type)
        return found if isinstance(found, dict) else _missing(name)


def _missing(name: str) -> Json:
    raise UnprocessableError(f"The parameter {name} is missing.", expression="Parameters.parameter")
