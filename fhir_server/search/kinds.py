"""The kinds of search parameter that this server speaks, by FHIR's name for them: all that R4 has.

https://hl7.org/fhir/R4/search.html#ptypes
"""

from collections.abc import Mapping
from types import MappingProxyType

from fhir_server.search.types.composite import COMPOSITE
from fhir_server.search.types.date import DATE
from fhir_server.search.types.kind import Kind
from fhir_server.search.types.near import SPECIAL
from fhir_server.search.types.number import NUMBER
from fhir_server.search.types.quantity import QUANTITY
from fhir_server.search.types.reference import REFERENCE
from fhir_server.search.types.string import STRING
from fhir_server.search.types.token import TOKEN
from fhir_server.search.types.uri import URI

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (STRING, TOKEN, DATE, NUMBER, QUANTITY, REFERENCE, URI, COMPOSITE, SPECIAL)}
)
