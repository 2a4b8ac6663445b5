"""In a transaction, `urn:uuid:…` stands for a resource that has no id yet: put the real reference in its place.

https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Mapping
from typing import Any

_URN = re.compile(r"urn:(?:uuid|oid):[A-Za-z0-9.\-]+")


def rewrite(value: Any, known: Mapping[str, str]) -> Any:  # noqa: ANN401  JSON is any value
    """The same JSON with every string that is a known urn replaced, and known urns inside narrative as well."""
    if isinstance(value, str):
        if value.startswith("urn:"):
            return known.get(value, value)
        if value.startswith("<div") and "urn:" in value:
            return _URN.sub(lambda urn: known.get(urn[0], urn[0]), value)
        return value
    if isinstance(value, dict):
        return {name: rewrite(child, known) for name, child in value.items()}
    if isinstance(value, list):
        return [rewrite(child, known) for child in value]
    return value
