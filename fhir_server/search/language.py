"""What one server understands a search to mean: its own address, its calendar.

https://hl7.org/fhir/R4/search.html
"""

from dataclasses import dataclass
from datetime import tzinfo

from fhir_server.search.registry import STANDARD, Registry


@dataclass(frozen=True, slots=True)
class Language:
    """`base`: the server's own address, by which absolute references are known as its own.

    `zone`: where dates without a time zone are meant, None for UTC. `chain_depth`: how many resources a chain may lead
    through. `registry`: the search parameters that there are.
    """

    base: str = ""
    zone: tzinfo | None = None
    chain_depth: int = 3
    registry: Registry = STANDARD

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", self.base.rstrip("/"))


PLAIN = Language()
