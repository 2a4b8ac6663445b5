"""What a ValueSet says of its members, taken apart: each include and exclude, or the expansion it came with.

https://hl7.org/fhir/R4/valueset.html#compositions, https://hl7.org/fhir/R4/valueset.html#expansion. What is not
understood is refused: a set with too many or too few members would answer wrongly.
"""

from dataclasses import dataclass

from fhir_server.fhir.data import read
from fhir_server.kernel.json import Json
from fhir_server.search.results import not_supported, shown
from fhir_server.search.types.codes import CodeSet

_OF_R4 = frozenset({"", "4.0.1"})
_PARTIAL = ("valueset-toocostly", "valueset-unclosed")
"""The ends of the URLs of extensions that say: the expansion is not all."""


@dataclass(frozen=True, slots=True)
class Part:
    """An include or exclude: what is of the system, is named or selected there, and stands in each of the ValueSets.

    `concepts` None: none are named. `filters`: property, operator, value. `version`: of the code system.
    """

    system: str
    version: str
    concepts: frozenset[str] | None
    filters: tuple[tuple[str, str, str], ...]
    value_sets: tuple[str, ...]


def parts(resource: Json) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """What is included, and what is excluded. Raises InvalidRequestError for what depends on a date or on activity."""
    compose = resource["compose"]
    for name, is_plain in (("lockedDate", "lockedDate" not in compose), ("inactive", compose.get("inactive", True))):
        if not is_plain:
            raise not_supported(f"The ValueSet {_url(resource)} has a compose with {name}.")
    include, exclude = (tuple(map(_part, compose.get(name, ()))) for name in ("include", "exclude"))
    return include, exclude


def _part(item: Json) -> Part:
    concepts = item.get("concept")
    return Part(
        str(item.get("system", "")),
        str(item.get("version", "")),
        None if concepts is None else frozenset(str(each.get("code", "")) for each in concepts),
        tuple(
            (str(each.get("property")), str(each.get("op")), str(each.get("value"))) for each in item.get("filter", ())
        ),
        tuple(map(str, item.get("valueSet", ()))),
    )


def expanded(resource: Json) -> CodeSet:
    """The members that an expansion lists. Raises InvalidRequestError where it does not list all, or there is none."""
    expansion = resource.get("expansion")
    if expansion is None:
        raise not_supported(f"The ValueSet {_url(resource)} has neither a compose nor an expansion.")
    found: dict[str, set[str]] = {}
    listed, left = 0, list(expansion.get("contains", ()))
    while left:
        each = left.pop()
        listed += 1
        if "code" in each and each.get("abstract") is not True:
            found.setdefault(str(each.get("system", "")), set()).add(str(each["code"]))
        left += each.get("contains", ())
    says_partial = any(str(each.get("url")).endswith(_PARTIAL) for each in expansion.get("extension", ()))
    if says_partial or expansion.get("offset", 0) or expansion.get("total", listed) > listed:
        raise not_supported(f"The ValueSet {_url(resource)} has an expansion that does not list all members.")
    members = CodeSet()
    for system, codes in found.items():
        members = members.either(CodeSet.of(system, codes))
    return members


def of_r4(url: str, version: str) -> CodeSet | None:
    """One that R4 lists itself, since an element has to be coded by it; None where it does not."""
    listed = read("value_sets").get(url) if version in _OF_R4 else None
    if listed is None:
        return None
    members = CodeSet()
    for system, codes in listed.items():
        members = members.either(CodeSet.of(system, codes))
    return members


def _url(resource: Json) -> str:
    return shown(str(resource.get("url", resource.get("id"))))
