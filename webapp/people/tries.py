"""Counts tries of passwords and codes in a request, and refuses those above the limits."""

import logging

from flask import abort, make_response, render_template, request

from webapp.ledger.transaction import unit_of_work
from webapp.people.throttle import Limit, Try, count_try, uncount as uncount_try

log = logging.getLogger(__name__)


def count(*limits: Limit) -> Try:
    """Count a try before what was typed is checked; a refused one is answered 429."""
    with unit_of_work() as transaction:
        tried = count_try(transaction, limits)
    if tried.wait:
        message = "refused a try from %s: too many wrong ones, the next in %s seconds"
        log.warning(message, request.remote_addr, tried.wait)
        # The same for names that exist and names that do not.
        page = render_template("people/throttled.html", minutes=-(-tried.wait // 60))
        abort(make_response(page, 429, {"Retry-After": str(tried.wait)}))
    return tried


def uncount(tried: Try) -> None:
    """Forget a try that was right."""
    with unit_of_work() as transaction:
        uncount_try(transaction, tried)
