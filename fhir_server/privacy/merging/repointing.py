"""Which words of a resource lead to one patient, and the same resource leading to another: pure.

https://hl7.org/fhir/R4/references.html. A reference to a version tells what was, and stays.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.engine.attached import Path
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json


def repointed(resource: Json, before: str, after: str, base: str) -> Json:
    """Every reference to the one is a reference to the other, also in contained resources and in extensions."""
    places = set(leading_to(resource, before, base))
    return _rewritten(resource, places, after) if places else resource


def given_back(resource: Json, was: Json | None, source: str, target: str, base: str) -> Json:
    """What led to the source before leads to it again.

    Where the earlier version named the source alone, so does what was added since. Where it named both, a reference
    goes back if it stands where one to the source stood.
    """
    places = set(leading_to(resource, target, base))
    if was is not None and any(leading_to(was, target, base)):
        places &= set(leading_to(was, source, base))
    return _rewritten(resource, places, source) if places else resource


def renamed(resource: Json, addresses: Mapping[str, str]) -> Json:
    """The same with other addresses of photos, wherever it names one."""
    return {name: _renamed(value, addresses) for name, value in resource.items()} if addresses else resource


def references(value: Any) -> Iterator[ResourceKey]:  # noqa: ANN401  JSON is any value
    """All that it refers to."""
    if isinstance(value, dict):
        text = value.get("reference")
        if isinstance(text, str) and (key := parse_reference(text)):
            yield key
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def leading_to(value: Any, patient: str, base: str, path: Path = ()) -> Iterator[Path]:  # noqa: ANN401  JSON is any value
    """The places of references to this patient, whatever their version may become."""
    if isinstance(value, dict):
        for name, child in value.items():
            if name == "reference" and isinstance(child, str):
                if child.removeprefix(f"{base}/") == f"Patient/{patient}":
                    yield (*path, name)
            else:
                yield from leading_to(child, patient, base, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leading_to(child, patient, base, (*path, index))


def _rewritten(value: Any, places: set[Path], patient: str, path: Path = ()) -> Any:  # noqa: ANN401  JSON is any value
    if path in places:
        return f"{value.rpartition('/')[0]}/{patient}"
    if isinstance(value, dict):
        return {name: _rewritten(child, places, patient, (*path, name)) for name, child in value.items()}
    if isinstance(value, list):
        return [_rewritten(child, places, patient, (*path, index)) for index, child in enumerate(value)]
    return value


def _renamed(value: Any, addresses: Mapping[str, str]) -> Any:  # noqa: ANN401  JSON is any value
    if isinstance(value, dict):
        return {name: _renamed(child, addresses) for name, child in value.items()}
    if isinstance(value, list):
        return [_renamed(child, addresses) for child in value]
    return addresses.get(value, value) if isinstance(value, str) else value
