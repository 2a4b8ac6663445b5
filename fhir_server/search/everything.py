"""`Patient/[id]/$everything` as a search: the patient, all that lies in the compartment, and what that refers to.

https://hl7.org/fhir/R4/patient-operation-everything.html; row S11.
"""

from dataclasses import replace

from fhir_server.fhir.definitions import search_parameters
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.search.language import Language
from fhir_server.search.parse import Pairs, parse
from fhir_server.search.results import FORMATTING
from fhir_server.search.several import ANY, TYPE, Several, compartment
from fhir_server.search.tree import MOST_MATCHES_PER_PAGE, AnyOf, Filter, Include, Missing

PARAMETERS = frozenset({"start", "end", "_since", "_type", "_count"})

_CARE_DATE = "date"
"""The parameter that many types share (clinical-date). What has none is there whatever `start` and `end` say."""


def everything(id: str, pairs: Pairs, language: Language) -> Several:
    """A query of each type. Raises InvalidRequestError for a parameter that the operation does not have, or twice."""
    asked: dict[str, str] = {}
    for name, value in pairs:
        if name in FORMATTING:
            continue
        if name not in PARAMETERS:
            raise InvalidRequestError(f"$everything has the parameters {', '.join(sorted(PARAMETERS))}.")
        if name in asked:
            raise InvalidRequestError(f"{name} is given once.")
        asked[name] = value
    shaping = [("_count", asked.get("_count") or str(MOST_MATCHES_PER_PAGE))]
    if asked.get("_since"):
        shaping.append(("_lastUpdated", f"ge{asked['_since']}"))
    types = [(TYPE, asked[TYPE])] if asked.get(TYPE) else []
    found = compartment("Patient", id, ANY, [*types, *shaping], language, lenient=False)
    used = tuple(asked.items())
    bounds = [
        (_CARE_DATE, f"{prefix}{asked[name]}") for name, prefix in (("start", "ge"), ("end", "le")) if asked.get(name)
    ]
    queries = []
    for query in found.queries:
        filters = query.filters
        if bounds and _CARE_DATE in search_parameters(query.type):
            within = tuple(each.condition for each in parse(query.type, bounds, language).filters)
            filters = (*filters, Filter(AnyOf((within, (Missing(_CARE_DATE, missing=True),))), ("", "")))
        queries.append(replace(query, filters=filters, includes=_WHAT_IT_REFERS_TO, used=used))
    return Several(tuple(queries), found.named)


_WHAT_IT_REFERS_TO = (Include("", "", "", reverse=False, iterate=False),)
