"""Which search parameters there are, and how the index stores them: what R4 defines, what we add, what a clinic adds.

https://hl7.org/fhir/R4/searchparameter.html; sealed-storage section 2: definitions and token layout carry a version.
"""

from collections.abc import Mapping

from fhir_server.fhir.data import digest
from fhir_server.fhir.definitions import SearchParameter, search_parameters
from fhir_server.search.parameters import Parameters, compiled
from fhir_server.search.shipped import digest_of_shipped, shipped

_KEYWORDS = 2
"""The version of the keywords; rises when those of an existing kind change."""

RULES = f"{_KEYWORDS}-{digest('search_parameters', 'compartments')}-{digest_of_shipped()}"
"""What of the index follows from this code, R4's definitions and our own alone."""


class Registry:
    """One version of all of it; never changed, but replaced by the next one.

    `custom`: type -> code -> what a clinic defined itself. `inside`: parameters, as `Patient.name`, whose texts are
    found by any part of them. `number` tells versions apart. `epochs`:
    by which keys its tokens are made. `whole` is False while some rows were indexed in a way
    that this one does not know: then only what every way has in common may be relied on.
    """

    def __init__(
        self,
        custom: Mapping[str, Mapping[str, SearchParameter]] | None = None,
        inside: frozenset[str] = frozenset(),
        number: int = 0,
        *,
        whole: bool = True,
        epochs: tuple[int, ...] = (1,),
    ) -> None:
        self.custom, self.inside, self.number, self.whole = dict(custom or {}), inside, number, whole
        self.epochs = epochs
        self._compiled: dict[str, Parameters] = {}

    def of(self, type_name: str) -> Parameters:
        """The parameters of a type, compiled when they are first asked for."""
        found = self._compiled.get(type_name)
        if found is None:
            own = self.custom.get(type_name)
            if own or self is STANDARD:
                found = compiled(type_name, {**search_parameters(type_name), **shipped(type_name)}, own or {})
            else:
                found = STANDARD.of(type_name)
            self._compiled[type_name] = found
        return found

    def finds_inside(self, type_name: str, code: str) -> bool:
        """Are the texts of this parameter found by any part of them?"""
        return bool(self.inside) and all(
            f"{type_name}.{each}" in self.inside for each in self.of(type_name).by_code[code].indexed_as
        )


STANDARD = Registry()
"""What R4 defines and this server adds, and nothing of a clinic's own."""


def parameters_of(type_name: str) -> Parameters:
    return STANDARD.of(type_name)
