"""Work that outlives a request: committed with the change, run by the worker until it succeeds."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """`name` picks the handler; `patient` is an id; `cause` the versioned reference of what asked for it."""

    name: str
    patient: str
    cause: str


@dataclass(frozen=True, slots=True)
class Leased:
    """A task that one worker holds for a while; `attempts` counts this one."""

    id: str
    task: Task
    attempts: int


Handlers = Mapping[str, Callable[[Task], Awaitable[None]]]
