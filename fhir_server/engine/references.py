"""In a transaction, `urn:uuid:…` stands for a resource that has no id yet: put the real reference in its place.

https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Mapping
from typing import Any

_URN = re.compile(r"urn:(?:uuid|oid):[A-Za-z0-9.\-]+")


_LINKS = frozenset(
    {
        *("reference", "url", "uri", "div", "valueUri", "valueUrl", "valueUuid", "valueOid", "valueCanonical"),
        *("targetUri", "instantiatesUri", "instantiatesCanonical", "sourceUri"),
    }
)
"""JSON properties whose strings are links (R4: elements of type uri, url, oid, uuid, and href and src in narrative)."""


def rewrite(value: object, known: Mapping[str, str], name: str = "") -> Any:  # noqa: ANN401  JSON is any value
    """The same JSON with every link that is a known reference replaced, also inside narrative.

    Copies only the branches that change. What is no link, such as the value of an Identifier, stays as it is.
    """
    if isinstance(value, dict):
        changed = {}
        for inner, child in value.items():
            # Most of what a resource holds is text that is no link; it is passed over without a call.
            if not isinstance(child, str) or inner in _LINKS:
                new = rewrite(child, known, inner)
                if new is not child:
                    changed[inner] = new
        return {**value, **changed} if changed else value
    if isinstance(value, str):
        if name not in _LINKS:
            return value
        if name == "div":
            return _URN.sub(lambda urn: known.get(urn[0], urn[0]), value) if "urn:" in value else value
        return known.get(value, value)
    if isinstance(value, list):
        rewritten = [rewrite(child, known, name) for child in value]
        return rewritten if any(new is not old for new, old in zip(rewritten, value, strict=True)) else value
    return value
