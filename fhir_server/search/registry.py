"""Which search parameters there are, and how the index stores them: what R4 defines, and what a clinic adds.

https://hl7.org/fhir/R4/searchparameter.html; sealed-storage section 2: definitions and token layout carry a version.
"""

from collections.abc import Mapping
from hashlib import sha256

from fhir_server.fhir.data import digest
from fhir_server.fhir.definitions import SearchParameter, search_parameters
from fhir_server.search.parameters import Parameters, compiled
from fhir_server.search.shipped import RAW

_KEYWORDS = 2
"""The version of the keywords; rises when those of an existing kind change."""

_DEFINITIONS = digest("search_parameters", "compartments").encode() + RAW
RULES = f"{_KEYWORDS}-{sha256(_DEFINITIONS).hexdigest()[:12]}"
"""What of the index follows from this code, R4's definitions and those that are shipped with it."""


class Registry:
    """One version of all of it; never changed, but replaced by the next one.

    `custom`: type -> code -> what is defined beside R4, by this server or by the clinic. `inside`: parameters, as
    `Patient.name`, whose texts are found by any part of them. `number` tells versions apart. `whole` is False while
    some rows were indexed in a way that this one does not know: then only what every way has in common may be relied
    on.
    """

    def __init__(
        self,
        custom: Mapping[str, Mapping[str, SearchParameter]] | None = None,
        inside: frozenset[str] = frozenset(),
        number: int = 0,
        *,
        whole: bool = True,
    ) -> None:
        self.custom, self.inside, self.number, self.whole = dict(custom or {}), inside, number, whole
        self._compiled: dict[str, Parameters] = {}

    def of(self, type_name: str) -> Parameters:
        """The parameters of a type, compiled when they are first asked for."""
        found = self._compiled.get(type_name)
        if found is None:
            own = self.custom.get(type_name)
            if own or self is STANDARD:
                found = compiled(type_name, search_parameters(type_name), own or {})
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
"""What R4 defines and nothing more."""


def parameters_of(type_name: str) -> Parameters:
    return STANDARD.of(type_name)
