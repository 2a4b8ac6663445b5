"""The R4 4.0.1 definitions as data files, each parsed once and only when asked for.

`conformance/definitions/compact_r4.py` makes them; https://hl7.org/fhir/R4/downloads.html
"""

from functools import cache
from hashlib import sha256
from importlib.resources import files

from fhir_server.kernel.json import Json, decode


@cache
def read(name: str) -> Json:
    """The file `name.json`: one definition for each key. Shared by all who ask, so never change it."""
    entries: Json = decode(files(__package__).joinpath(f"{name}.json").read_bytes())
    return entries


def digest(*names: str) -> str:
    """Tells apart versions of these files."""
    folder = files(__package__)
    return sha256(b"".join(folder.joinpath(f"{name}.json").read_bytes() for name in names)).hexdigest()[:12]
