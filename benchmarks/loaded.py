"""A process that has loaded every definition, and says how much memory it takes: `python -m benchmarks.loaded`.

The server, its checks, its search parameters, and the models of `fhir.resources`, of which a server loads only what
`$validate` asks for.
"""

from importlib import import_module
from importlib.resources import files

from fhir.resources.R4B import get_fhir_model_class

from benchmarks.processor_time import resident
from fhir_server.fhir import data
from fhir_server.fhir.data import read
from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.elements import children
from fhir_server.fhir.shapes import shapes
from fhir_server.search.registry import parameters_of


def main() -> None:
    import_module("fhir_server.app")
    for file in files(data).iterdir():
        if file.name.endswith(".json"):
            read(file.name.removesuffix(".json"))
    shapes()
    for name in served_types():
        children(name)
        parameters_of(name)
    without_models = resident()
    for name in served_types():
        get_fhir_model_class(name)
    print(without_models, resident())


if __name__ == "__main__":
    main()
