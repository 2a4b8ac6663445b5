"""Will the GET entries of a transaction be answered? Looked at before anything is committed, and not recorded.

https://hl7.org/fhir/R4/http.html#transaction: a transaction succeeds where every entry ends in 2xx or 3xx; else nothing
of it is done. Its reads come after its writes and see them, so what they will find is put together from both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fhir_server.engine.answers import call_of, search_of, searching
from fhir_server.engine.bundle_entries import READS, Entry, at_entry
from fhir_server.engine.call import Call, Trace
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.errors import FhirError, GoneError
from fhir_server.kernel.identity import ResourceKey


async def require_answers(engine: Engine, call: Call, entries: Sequence[Entry], changes: Iterable[Change]) -> None:
    """Raises what the first GET that cannot be answered would end in, with its place."""
    reads = [entry for entry in entries if entry.method in READS]
    written = {change.key: change for change in changes} if reads else {}
    for entry in reads:
        try:
            if entry.id:
                await _require_instance(engine, _unseen(call_of(call, entry)), entry, written)
            else:
                await _require_search(engine, _unseen(searching(call, entry)), entry)
        except FhirError as error:
            raise at_entry(error, entry.index) from error


def _unseen(call: Call) -> Call:
    """What is decided here is decided again when the answer is put together; this time leaves no trace."""
    return replace(call, trace=Trace())


async def _require_instance(engine: Engine, call: Call, entry: Entry, written: Mapping[ResourceKey, Change]) -> None:
    await engine.steps.admit(call)
    change = written.get(ResourceKey(entry.type, entry.id))
    if change is None or entry.version not in {None, change.version}:
        await engine.look(call)
    elif change.resource is None:
        raise GoneError("The resource is deleted by this transaction.")


async def _require_search(engine: Engine, call: Call, entry: Entry) -> None:
    """Above all: is it allowed, and not too costly?"""
    await engine.found(call, search_of(entry, engine.language))
