"""fhirpath: the expressions of search parameters, compiled once into closures.

http://hl7.org/fhirpath/N1/, https://hl7.org/fhir/R4/fhirpath.html
"""

from fhir_server.fhir.fhirpath.compiler import compile_path
from fhir_server.fhir.fhirpath.lane import CompiledPath, Lane
from fhir_server.fhir.fhirpath.syntax import PathError

__all__ = ["CompiledPath", "Lane", "PathError", "compile_path"]
