"""What a witness does with a checkpoint that it is shown: it is the same log, and it only grew, or it is refused.

https://c2sp.org/tlog-witness
"""

from fhir_server.audit.anchoring import ContradictedError, Prove
from fhir_server.crypto import checkpoint
from fhir_server.crypto.proving import continues


async def require_grown(kept: str | None, shown: str, prove: Prove) -> None:
    """`kept`: the checkpoint that was seen last. Raises ContradictedError."""
    if kept is None:
        return
    before, after = checkpoint.parsed(kept), checkpoint.parsed(shown)
    if before.origin != after.origin:
        raise ContradictedError("the log has another name")
    if after.size < before.size:
        raise ContradictedError(f"it had {before.size} entries, and has {after.size}")
    if not continues(before.size, after.size, before.root, after.root, await prove(before.size)):
        raise ContradictedError(f"its first {before.size} entries are not what they were")
