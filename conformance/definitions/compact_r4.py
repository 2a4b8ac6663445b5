"""Makes the server's data files out of the official R4 4.0.1 definitions: `compact_r4.py ARCHIVE FOLDER`.

ARCHIVE is the package `hl7.fhir.r4.core` 4.0.1 as a .tgz, FOLDER is `fhir_server/fhir/data`. The README beside this
file says where the archive comes from and what each file holds. Same archive, same bytes.
https://hl7.org/fhir/R4/downloads.html
"""

import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fhir_server.kernel.json import Json, decode, encode

VERSION = "4.0.1"
URL = "http://hl7.org/fhir/StructureDefinition/"
KINDS = ("StructureDefinition", "SearchParameter", "CompartmentDefinition", "ValueSet", "CodeSystem")
PROFILES = frozenset({"SimpleQuantity"})
"""Profiles that base definitions themselves name as the type of an element."""
SYSTEM_STRING = "http://hl7.org/fhirpath/System.String"
"""The type of what is no FHIR element but an attribute of one: it has no extensions."""
COMPARTMENTS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


def definitions(archive: Path) -> dict[str, list[Json]]:
    """The package's conformance resources by type, ordered by url so that the order in the archive plays no part."""
    found: dict[str, list[Json]] = {kind: [] for kind in KINDS}
    with tarfile.open(archive) as package:
        for member in package:
            folder, _, name = member.name.partition("/")
            if folder == "package" and "/" not in name and name.split("-")[0] in KINDS:
                file = package.extractfile(member)
                assert file is not None
                resource = decode(file.read().removeprefix(b"\xef\xbb\xbf"))
                found[resource["resourceType"]].append(resource)
    return {kind: sorted(resources, key=lambda each: (each["url"], each["id"])) for kind, resources in found.items()}


def is_base(structure: Json) -> bool:
    return structure["kind"] != "logical" and (
        structure.get("derivation") != "constraint" or structure["id"] in PROFILES
    )


def types(structures: Iterable[Json]) -> dict[str, Json]:
    """Each type and backbone element: its base, what it adds, the names of its invariants."""
    found: dict[str, Json] = {}
    for structure in filter(is_base, structures):
        assert structure["version"] == VERSION
        profile = structure["id"] in PROFILES
        root, *elements = structure["snapshot"]["element"]
        owner: Json = {"kind": "profile" if profile else structure["kind"]}
        if structure["abstract"]:
            owner["abstract"] = True
        if "baseDefinition" in structure:
            owner["base"] = structure["type"] if profile else structure["baseDefinition"].removeprefix(URL)
        owner |= _invariants(root)
        found[structure["id"]] = owner
        if structure["kind"] == "primitive-type":
            owner |= _pattern(elements)
            continue
        for element in elements:
            path, _, name = element["path"].rpartition(".")
            if _is_own(structure, element):
                holder = found[structure["id"] if profile else path]
                holder.setdefault("elements", {})[name] = _element(element, profile=profile)
            if _is_backbone(element):
                found[element["path"]] = {"kind": "backbone", "base": element["type"][0]["code"]} | _invariants(element)
    return found


def _is_own(structure: Json, element: Json) -> bool:
    if structure["id"] in PROFILES:
        return bool(element["max"] == "0")
    return bool(element["base"]["path"] == element["path"])


def _is_backbone(element: Json) -> bool:
    return [each["code"] for each in element.get("type", ())] in (["BackboneElement"], ["Element"])


def _element(element: Json, *, profile: bool) -> Json:
    """Left out is what most have: at least 0, at most 1, no binding, no targets, no invariants."""
    compact: Json = {}
    if profile:
        return {"max": 0}
    if "contentReference" in element:
        compact["type"] = [element["contentReference"].removeprefix("#")]
    elif _is_backbone(element):
        compact["type"] = [element["path"]]
    else:
        compact["type"] = [_type(element["path"], each) for each in element["type"]]
    if [each["code"] for each in element.get("type", ())] == [SYSTEM_STRING]:
        compact["bare"] = True
    if element.get("isSummary"):
        compact["summary"] = True
    if element["min"]:
        compact["min"] = element["min"]
    if element["max"] != "1":
        compact["max"] = "*"
        assert element["max"] == "*"
    binding = element.get("binding", {})
    if binding.get("strength") == "required":
        compact["binding"] = binding["valueSet"].partition("|")[0]
    targets = {
        target.removeprefix(URL)
        for each in element.get("type", ())
        if each["code"] == "Reference"
        for target in each.get("targetProfile", ())
    }
    if targets and "Resource" not in targets:
        compact["targets"] = sorted(targets)
    return compact if _is_backbone(element) else compact | _invariants(element)


def _type(path: str, each: Json) -> str:
    if path == "Resource.id":
        return "id"  # the snapshot says string; the definition of Resource, and its regular expression, say id
    for profile in each.get("profile", ()):
        assert profile.removeprefix(URL) in PROFILES
        return str(profile.removeprefix(URL))
    for extension in each.get("extension", ()):
        if extension["url"] == URL + "structuredefinition-fhir-type":
            return str(extension["valueUrl"])
    return str(each["code"])


def _own_constraints(element: Json) -> Iterator[Json]:
    """Without those repeated from the type that the element has: they name it as their source."""
    return (each for each in element.get("constraint", ()) if "source" not in each and "expression" in each)


def _invariants(element: Json) -> Json:
    keys = [each["key"] for each in _own_constraints(element)]
    return {"invariants": keys} if keys else {}


def _pattern(elements: Iterable[Json]) -> Json:
    for element in elements:
        for extension in element.get("type", ({},))[0].get("extension", ()):
            if extension["url"] == URL + "regex":
                return {"pattern": extension["valueString"]}
    return {}


def invariants(structures: Iterable[Json]) -> dict[str, Json]:
    """`TYPE key` -> what it says. A key alone is not unique (inv-1 has three meanings)."""
    found: dict[str, Json] = {}
    for structure in filter(is_base, structures):
        for element in structure["snapshot"]["element"]:
            if element["base"]["path"].split(".")[0] in (structure["id"], structure["type"]):
                for each in _own_constraints(element):
                    said = {name: each[name] for name in ("severity", "expression", "human")}
                    assert found.setdefault(f"{structure['id']} {each['key']}", said) == said
    return found


def search_parameters(parameters: Iterable[Json]) -> dict[str, Json]:
    """`Type.code` -> kind, expression for that type alone, targets, components.

    Left out: HL7's examples, parameters that an extension defines (they belong to its guide), and those without an
    expression (`_text`, `_content`, `_filter`, `_query` are not about elements).
    """
    known = [each for each in parameters if each.get("expression") and not each["id"].startswith("example")]
    codes = {each["url"]: each["code"] for each in known}
    found: dict[str, Json] = {}
    for parameter in known:
        if "extension(" in parameter["expression"]:
            continue
        for name in parameter["base"]:
            compact: Json = {"kind": parameter["type"], "expression": _expression(parameter, name)}
            if "target" in parameter:
                compact["targets"] = sorted(parameter["target"])
            if "component" in parameter:
                compact["components"] = _components(parameter, codes)
            assert f"{name}.{parameter['code']}" not in found
            found[f"{name}.{parameter['code']}"] = compact
    return found


def _components(parameter: Json, codes: Mapping[str, str]) -> list[Json]:
    """Two slips of R4 are put right: a type DateTime, which is none, and two expressions in each other's place."""
    found = [
        {"code": codes[each["definition"]], "expression": each["expression"].replace("DateTime", "dateTime")}
        for each in parameter["component"]
    ]
    if parameter["id"] == "DocumentReference-relationship":
        assert [each["expression"] for each in found] == ["code", "target"], "`relatesto` is the target"
        found = [{**each, "expression": right} for each, right in zip(found, ("target", "code"), strict=True)]
    return found


def _expression(parameter: Json, name: str) -> str:
    """The alternatives of the union that speak of this type. A relative path (`name`) is of the only type there is."""
    alternatives = [each.strip() for each in parameter["expression"].split(" | ")]
    own = [each for each in alternatives if each.lstrip("(").partition(".")[0] == name]
    return " | ".join(own) or " | ".join(f"{name}.{each}" for each in alternatives if each[0].islower())


def compartments(all_definitions: Iterable[Json]) -> dict[str, Json]:
    """Compartment -> type -> the codes of the search parameters that put a resource of the type into it.

    `{def}` says that the focus lies in its own compartment; that holds for all five, so the code says it.
    """
    found: dict[str, Json] = {}
    for each in all_definitions:
        if each["id"] != "example" and each["code"] in COMPARTMENTS:
            codes = {
                entry["code"]: [code for code in entry.get("param", ()) if code != "{def}"]
                for entry in each["resource"]
            }
            found[each["code"]] = {name: params for name, params in codes.items() if params}
    return found


def value_sets(bound: Iterable[str], sets: Iterable[Json], systems: Iterable[Json]) -> dict[str, Json | None]:
    """Value set -> code system -> codes; None for one that no list in the package spells out."""
    by_url = {each["url"]: each for each in sets}
    codes = {each["url"]: list(_codes(each.get("concept", ()))) for each in systems if each["content"] == "complete"}
    return {url: _expand(by_url.get(url, {}), codes) for url in sorted(set(bound))}


def _codes(concepts: Iterable[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))


def _expand(value_set: Json, codes: Mapping[str, list[str]]) -> Json | None:
    expanded: Json = {}
    compose = value_set.get("compose", {"include": [{"filter": []}]})
    for include in compose["include"]:
        listed = [each["code"] for each in include.get("concept", ())] or codes.get(include.get("system", ""))
        if not listed or "filter" in include or "valueSet" in include or "exclude" in compose:
            return None
        expanded.setdefault(include["system"], []).extend(listed)
    return expanded


def bound_sets(compact: Mapping[str, Json]) -> Iterator[str]:
    for each in compact.values():
        yield from (element["binding"] for element in each.get("elements", {}).values() if "binding" in element)


def write(path: Path, entries: Mapping[str, object]) -> None:
    """One definition a line, so that a diff reads well."""
    lines = ",\n".join(f"{encode(key).decode()}:{encode(entries[key]).decode()}" for key in sorted(entries))
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{path.name}: {len(entries)} definitions, {path.stat().st_size} bytes")


def main(archive: Path, folder: Path) -> None:
    read = definitions(archive)
    compact = types(read["StructureDefinition"])
    write(folder / "types.json", compact)
    write(folder / "invariants.json", invariants(read["StructureDefinition"]))
    write(folder / "search_parameters.json", search_parameters(read["SearchParameter"]))
    write(folder / "compartments.json", compartments(read["CompartmentDefinition"]))
    write(folder / "value_sets.json", value_sets(bound_sets(compact), read["ValueSet"], read["CodeSystem"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
