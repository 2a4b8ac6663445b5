"""invariants: the rules that R4 writes beside its elements, compiled once into closures.

They range over JSON as it is, without types, so that all of them fit into a few hundred lines; search parameters, which
need the type of what they find, have fhir.fhirpath. https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from fhir_server.fhir.invariants.rules import LEFT_OUT, invariant

__all__ = ["LEFT_OUT", "invariant"]
