"""A search as a test wants it: does this query find this resource, and does the index know?"""

from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

from fhir_server.kernel.json import Json
from fhir_server.search.extract import index_keywords
from fhir_server.search.language import Language
from fhir_server.search.match import Candidate, matches
from fhir_server.search.parse import parse
from fhir_server.search.plan import Group, plan
from fhir_server.search.tree import Query

BASE = "https://clinic.example/fhir"
PLAIN = Language(BASE)
CHANGED = datetime(2024, 5, 1, 9, 26, 53, 589_793, tzinfo=UTC)


def patient(**elements: Any) -> Json:
    return {"resourceType": "Patient", "id": "7", **elements}


def observation(**elements: Any) -> Json:
    return {"resourceType": "Observation", "id": "o1", **elements}


def candidate(resource: Json, *access: str) -> Candidate:
    return Candidate(resource["resourceType"], resource.get("id", "x"), CHANGED, frozenset(access), resource)


def finds(resource: Json, *asked: str, access: tuple[str, ...] = (), language: Language = PLAIN) -> bool:
    """Whether `code=value` pairs find the resource. What matches has to be in the index too, or the test fails."""
    query = parse(
        resource["resourceType"],
        [(name, value) for name, _, value in (each.partition("=") for each in asked)],
        language,
    )
    found = matches(query, candidate(resource, *access))
    if found:
        assert indexed(query, resource), f"{asked} matches and the index does not know it"
    return found


def indexed(query: Query, resource: Json) -> bool:
    """Whether the index has the resource among the candidates of the query."""
    keywords = index_keywords(resource, query.registry)
    return all(within(group, keywords) for group in plan(query))


def within(group: Group, keywords: AbstractSet[tuple[str, str]]) -> bool:
    return not keywords.isdisjoint(group.any_of)
