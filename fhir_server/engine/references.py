"""In a transaction, `urn:uuid:…` stands for a resource that has no id yet: put the real reference in its place.

https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Mapping
from typing import Any

_URN = re.compile(r"urn:(?:uuid|oid):[A-Za-z0-9.\-]+")


def rewrite(value: object, known: Mapping[str, str]) -> Any:  # noqa: ANN401  JSON is any value
    """The same JSON with every string that is a known reference replaced, and known urns inside narrative as well.

    Copies only the branches that change.
    """
    if isinstance(value, str):
        if value.startswith("<div"):
            return _URN.sub(lambda urn: known.get(urn[0], urn[0]), value) if "urn:" in value else value
        return known.get(value, value)
    if isinstance(value, dict):
        changed = {name: new for name, child in value.items() if (new := rewrite(child, known)) is not child}
        return {**value, **changed} if changed else value
    if isinstance(value, list):
        rewritten = [rewrite(child, known) for child in value]
        return rewritten if any(new is not old for new, old in zip(rewritten, value, strict=True)) else value
    return value
