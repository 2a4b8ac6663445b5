"""What the route table offers, in the words of the CapabilityStatement: a row is told by being there.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Iterator

from fhir_server.api.routes import TABLE
from fhir_server.engine.call import Interaction
from fhir_server.fhir.capability import Operation

_BESIDE: dict[Interaction, frozenset[str]] = {Interaction.TRANSACTION: frozenset({Interaction.BATCH.value})}
"""What shares an address with another interaction."""

_OF_THE_SYSTEM = frozenset({"transaction", "batch", "search-system", "history-system"})
_OF_A_TYPE = frozenset(
    {
        *("read", "vread", "update", "patch", "delete", "history-instance"),
        *("history-type", "create", "search-type"),
    }
)


def system_interactions() -> frozenset[str]:
    return _interactions() & _OF_THE_SYSTEM


def type_interactions() -> frozenset[str]:
    return _interactions() & _OF_A_TYPE


def _interactions() -> frozenset[str]:
    served = {interaction for methods in TABLE.values() for interaction, _ in methods.values()}
    return frozenset(one.value for one in served).union(*(_BESIDE.get(one, frozenset()) for one in served))


def operations() -> tuple[Operation, ...]:
    """Each once, whether it is asked of a type, of an instance or of both."""
    return tuple(dict.fromkeys(_operations()))


def _operations() -> Iterator[Operation]:
    for path in TABLE:
        [*above, last] = path.split("/")[2:] or [""]
        if last.startswith("$"):
            yield Operation(last[1:], above[0] if above and above[0] != "{type}" else "Resource" if above else "")
