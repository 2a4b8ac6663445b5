"""Random bytes of the operating system, fetched in larger pieces: a nonce for each seal would cost a system call each.

NIST SP 800-38D section 8.2.2 asks for random nonces; these come from nowhere else, and no byte is given out twice.
"""

import os
import threading

_PIECE = 4096


class RandomBytes:
    """Callable like `secrets.token_bytes`, from any thread. Never shared with a forked child: make one after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._piece = b""
        self._used = 0

    def __call__(self, count: int) -> bytes:
        if count > _PIECE:
            return os.urandom(count)
        with self._lock:
            if self._used + count > len(self._piece):
                self._piece, self._used = os.urandom(_PIECE), 0
            taken = self._piece[self._used : self._used + count]
            self._used += count
        return taken
