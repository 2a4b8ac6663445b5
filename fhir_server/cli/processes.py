"""Several processes that do one server's work: forked from one that only watches them, and replaced when one dies.

S93: a replica that is killed is no outage. fork(2): what was loaded before it is shared memory afterwards. Each child
is a process group of its own, so that Ctrl-C reaches the one that watches alone, which then ends them in good order.
"""

import gc
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from fhir_server.cli.faults import CommandError

_log = logging.getLogger("fhir_server.processes")
_FORK = multiprocessing.get_context("fork")
_STOPS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 30.0
_PAUSE_SECONDS = 1.0
"""Before one that died has a successor: what dies at once must not keep the machine busy."""

Ready = Callable[[], None]
Task = Callable[[Ready], None]
"""Does the work of one process until SIGTERM, and says when it is ready."""


@dataclass(frozen=True, slots=True, eq=False)
class _Child:
    task: Task
    process: ForkProcess
    ready: Connection


def run_together(tasks: Sequence[Task], when_ready: Ready) -> None:
    """Each in a process of its own, until SIGINT or SIGTERM. `when_ready` is called once, when all of them are.

    Raises CommandError where one of them ends before all were ready: its log says why.
    """
    gc.collect()
    gc.freeze()  # A collection in a child would copy every page that it only looks at.
    with _stops() as stopped:
        children = [_forked(task) for task in tasks]
        try:
            if _all_ready(children, stopped):
                when_ready()
                _keep(children, stopped)
        finally:
            _end(children)


def _all_ready(children: Sequence[_Child], stopped: socket.socket) -> bool:
    """False when it was stopped before."""
    waiting = list(children)
    while waiting:
        woken = wait([stopped, *(child.ready for child in waiting)])
        if stopped in woken:
            return False
        for child in [each for each in waiting if each.ready in woken]:
            if not _said_so(child):
                raise CommandError("The server did not start; its log says why.")
            waiting.remove(child)
    return True


def _said_so(child: _Child) -> bool:
    """A connection that ends without a word is that of a process that died."""
    try:
        return bool(child.ready.recv_bytes())
    except EOFError:
        return False


def _keep(children: list[_Child], stopped: socket.socket) -> None:
    """Whoever dies is replaced, until it is stopped."""
    while True:
        woken = wait([stopped, *(child.process.sentinel for child in children)])
        if stopped in woken:
            return
        for place, child in enumerate(children):
            if child.process.sentinel in woken:
                child.process.join()
                _log.error("a process ended with %s; another takes its place", child.process.exitcode)
                if wait([stopped], _PAUSE_SECONDS):
                    return
                child.ready.close()
                children[place] = _forked(child.task)


def _end(children: Sequence[_Child]) -> None:
    for child in children:
        child.process.terminate()
    until = time.monotonic() + _GRACE_SECONDS
    for child in children:
        child.process.join(max(0.0, until - time.monotonic()))
        child.process.kill()
        child.process.join()
        child.ready.close()


def _forked(task: Task) -> _Child:
    ready, ours = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_child, args=(task, ours))
    process.start()
    ours.close()
    return _Child(task, process, ready)


def _child(task: Task, ready: Connection) -> None:
    os.setpgid(0, 0)
    for number in _STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    task(lambda: ready.send_bytes(b"ready"))


def _end_with_the_parent() -> None:
    """Killed as it was: whoever watches is gone, and with it the reason to go on."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _stops() -> Iterator[socket.socket]:
    """A socket that can be read from once it was asked to stop."""
    told, tells = socket.socketpair()
    before = {number: signal.getsignal(number) for number in _STOPS}
    with told, tells:
        for number in _STOPS:
            signal.signal(number, lambda *_: tells.send(b"!"))
        try:
            yield told
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
