"""Several byte strings as one that can be read in one way only.

What is authenticated beside a ciphertext (NIST SP 800-38D, section 7.1) has to be unambiguous: without lengths,
`("ab", "c")` and `("a", "bc")` would be the same bytes.
"""

import struct
from collections.abc import Sequence


def frame(parts: Sequence[bytes]) -> bytes:
    """Count, lengths, bytes: injective over every sequence of byte strings."""
    return struct.pack(f">{len(parts) + 1}I", len(parts), *map(len, parts)) + b"".join(parts)
