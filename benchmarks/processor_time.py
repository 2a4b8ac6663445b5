"""How much processor time a process and the whole machine have used so far; and its memory.

proc(5): /proc/PID/stat, fields 14 and 15; /proc/PID/task/TID/children; /proc/stat, first line; /proc/PID/status.
"""

import os
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def of_process(pid: int) -> float:
    """Seconds, user and system, with all its threads and with the processes that it watches.

    Whoever asks watches all those who are measured: of itself it is told what it used alone.
    """
    watched = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if pid != os.getpid() else ()
    return sum(_alone(one) for one in (pid, *map(int, watched)))


def _alone(pid: int) -> float:
    # The name in parentheses may hold spaces; what follows it does not.
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) * _TICK


def of_machine() -> float:
    """Seconds in which any processor was busy."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    # irq, softirq and steal; guest time is counted in user already.
    return (user + nice + system + sum(rest[:3])) * _TICK


def resident(pid: int | None = None) -> int:
    """Bytes of memory that a process, or this one, has now."""
    status = Path(f"/proc/{pid or 'self'}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
