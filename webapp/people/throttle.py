"""Limits the wrong tries of a password or a code, over all workers and restarts.

A try is counted before the password is looked at, and uncounted if it was right: so any number of
tries at once, in any number of processes, cannot be more than the limit.
"""

import hmac
import ipaddress
import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import current_app
from sqlalchemy import Connection, delete, select

from webapp.columns import now
from webapp.extensions import security
from webapp.ledger.audit import record
from webapp.ledger.transaction import add_row
from webapp.people.tables import SignInAttempt

WINDOW = timedelta(minutes=5)
# Whoever has a password may try codes for weeks, each of which is right in 3 of a million cases.
WINDOW_OF_CODES = timedelta(hours=1)
MAX_OF_ACCOUNT = 10
MAX_OF_ADDRESS = 50  # many people of one branch may share an address
IPV6_NETWORK = 64  # bits of an address that its owner cannot choose
# Some proxies write the client's port into X-Forwarded-For.
WITH_PORT = re.compile(r"\[(.+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
_tries = SignInAttempt.__table__


class Limit(NamedTuple):
    """How many wrong tries something may have within the window."""

    digest: bytes  # names and addresses are not stored: a name may be a password
    maximum: int
    subject: str  # in the audit log
    window: timedelta = WINDOW


class Try(NamedTuple):
    """A counted try; or the seconds to wait, if it was refused."""

    counted: tuple[int, ...]
    wait: int = 0


def of_account(name: str) -> Limit:
    """Return the limit of what was typed as a user's name, whether there is such a user or not."""
    normalised = security.username_util.normalize(name) or ""  # as the form compares names
    return Limit(_digest("account", normalised), MAX_OF_ACCOUNT, "account")


def of_codes(user_id: int) -> Limit:
    """Return the limit of a user's codes of the second factor."""
    digest, subject = _digest("codes", str(user_id)), f"operator:{user_id}"
    return Limit(digest, MAX_OF_ACCOUNT, subject, WINDOW_OF_CODES)


def of_address(address: str) -> Limit:
    return Limit(_digest("address", _network(address)), MAX_OF_ADDRESS, "address")


def count_try(transaction: Connection, limits: Sequence[Limit]) -> Try:
    """Count a try towards all limits, unless one of them is reached."""
    if transaction.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        transaction.exec_driver_sql("LOCK TABLE sign_in_attempts IN SHARE ROW EXCLUSIVE MODE")
    moment = now()
    transaction.execute(delete(_tries).where(_tries.c.created_at <= moment - WINDOW_OF_CODES))
    for limit in limits:
        wait = _wait(transaction, limit, moment)
        if wait:
            return Try((), wait)
    return Try(tuple(_add(transaction, limit, moment, counted=True) for limit in limits))


def uncount(transaction: Connection, tried: Try) -> None:
    """Forget a try that was right."""
    transaction.execute(delete(_tries).where(_tries.c.id.in_(tried.counted)))


def forget(transaction: Connection, limit: Limit) -> None:
    """Forget all tries that count towards a limit."""
    transaction.execute(delete(_tries).where(_tries.c.digest == limit.digest))


def _wait(transaction: Connection, limit: Limit, moment: datetime) -> int:
    """Return the seconds until a limit allows another try."""
    rows = transaction.execute(
        select(_tries.c.created_at, _tries.c.counted)
        .where(_tries.c.digest == limit.digest, _tries.c.created_at > moment - limit.window)
        .order_by(_tries.c.created_at)
    ).all()
    counted = [row.created_at for row in rows if row.counted]
    if len(counted) < limit.maximum:
        return 0
    if len(counted) == len(rows):  # one entry a window: a flood must not fill the audit log
        _add(transaction, limit, moment, counted=False)
        record(transaction, "sign_in.throttled", limit.subject)
    free = counted[-limit.maximum] + limit.window
    wait: int = max(1, math.ceil((free - moment).total_seconds()))
    return wait


def _add(transaction: Connection, limit: Limit, moment: datetime, *, counted: bool) -> int:
    row = {"digest": limit.digest, "created_at": moment, "counted": counted}
    return add_row(transaction, SignInAttempt, **row)


def _network(address: str) -> str:
    """Return the addresses of one owner: one of IPv4, or a network of IPv6."""
    port = WITH_PORT.fullmatch(address)
    try:
        ip = ipaddress.ip_address(port[1] or port[2] if port else address)
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:  # as a socket of both versions writes an IPv4 address
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, IPV6_NETWORK), strict=False))


def _digest(kind: str, text: str) -> bytes:
    key = str(current_app.config["SECRET_KEY"])
    return hmac.digest(key.encode(), f"{kind} {text}".encode(errors="replace"), "sha256")
