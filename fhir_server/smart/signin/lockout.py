"""How long the next attempt has to wait: what failed before slows down whoever failed, and nobody else.

NIST SP 800-63B-4 section 3.2.2 asks for a limit per account; a bare one lets anybody shut anybody out. So attempts are
counted by where they come from. A browser that the person signed in with before has a count of its own, which others
cannot reach; all other browsers share one per account and one per network address. No count ever closes a door: it
says when the next attempt is looked at, at most a quarter of an hour later.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

FORGOTTEN_AFTER = timedelta(hours=24)
_SITE_BITS = 64
"""An IPv6 network of this length is one subscriber's: every address in it is the same source."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` failures cost nothing; each further one doubles the wait, from `first` up to `longest`."""

    free: int
    first: timedelta
    longest: timedelta

    def wait(self, failures: int) -> timedelta:
        if failures < self.free:
            return timedelta()
        return min(self.longest, self.first * (1 << min(failures - self.free, 30)))


@dataclass(frozen=True, slots=True)
class Tally:
    """`failures` in a row, an attempt under way included; before `open` none is looked at."""

    failures: int
    open: datetime
    last: datetime

    def counting(self, limit: Limit, now: datetime) -> "Tally":
        """With an attempt that begins now. It counts as failed until it succeeds, so that many at once all count."""
        failures = (0 if now - self.last >= FORGOTTEN_AFTER else self.failures) + 1
        return Tally(failures, now + limit.wait(failures), now)


@dataclass(frozen=True, slots=True)
class Count:
    """One count that an attempt is held to. `key` names it; `forgiven`: a success sets it back to nothing."""

    key: str
    limit: Limit
    forgiven: bool


_QUARTER = timedelta(minutes=15)
_DEVICE = Limit(5, timedelta(seconds=2), timedelta(minutes=5))
_SOURCE = Limit(5, timedelta(seconds=2), _QUARTER)
_STRANGERS = Limit(50, timedelta(seconds=10), _QUARTER)
_ADDRESS = Limit(200, timedelta(seconds=1), timedelta(minutes=5))
_FACTOR = Limit(5, timedelta(seconds=5), _QUARTER)


def for_password(account: str, address: str, device: str | None) -> tuple[Count, ...]:
    """`account` names the user or what was typed for one; `device` the browser, where that account is known to it."""
    if device is not None:
        return (Count(f"password|{account}|device|{device}", _DEVICE, forgiven=True),)
    source = source_of(address)
    return (
        Count(f"password|{account}|source|{source}", _SOURCE, forgiven=True),
        Count(f"password|{account}|strangers", _STRANGERS, forgiven=True),
        # Forgiven by nothing but time: somebody with a user of their own could else clear it as they try others.
        Count(f"password|source|{source}", _ADDRESS, forgiven=False),
    )


def for_factor(kind: str, account: str, device: str | None) -> tuple[Count, ...]:
    """Whoever comes so far knows the password, so strangers share one count however many addresses they have."""
    place = f"device|{device}" if device is not None else "strangers"
    return (Count(f"{kind}|{account}|{place}", _FACTOR, forgiven=True),)


def source_of(address: str) -> str:
    """An IPv4 address, or the network of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(found), _SITE_BITS), strict=False).network_address)
    return str(found)
