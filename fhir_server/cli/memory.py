"""Memory that was freed stays with the process, for the next photo that passes through.

https://man7.org/linux/man-pages/man3/mallopt.3.html; other C libraries than glibc are left as they are.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""malloc.h's numbers for what is set."""
_KEPT = 64 << 20
_FROM_THE_SYSTEM = 32 << 20
_ARENAS = 2


def keep_freed_memory() -> bool:
    """False where this C library cannot. Call it before the first thread.

    Else each large buffer is given back, and the next one is fetched anew from the system, page by page. Measured with
    a photo of 4.1 MB that is taken in: 25 ms of processor time in the system before, 3 ms with it, and a process of
    161 MB instead of 155.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    # Few arenas, since each keeps its own; threads that seal and digest hardly allocate at once.
    options = ((_MMAP_THRESHOLD, _FROM_THE_SYSTEM), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, _ARENAS))
    return all(set_option(name, value) == 1 for name, value in options)
