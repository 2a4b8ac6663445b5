"""In a transaction, `urn:uuid:…` stands for a resource that has no id yet: put the real reference in its place.

https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Mapping
from operator import is_not
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
    if isinstance(value, list):
        rewritten = [rewrite(child, known, name) for child in value]
        return rewritten if any(map(is_not, rewritten, value)) else value
    return _link(value, known, name) if isinstance(value, str) and name in _LINKS else value


def _link(text: str, known: Mapping[str, str], name: str) -> str:
    if name == "div":
        return _URN.sub(lambda urn: known.get(urn[0], urn[0]), text) if "urn:" in text else text
    return known.get(text, text)
