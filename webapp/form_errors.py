"""Errors that pass by themselves, shown over the form that was sent, with what was typed."""

from collections.abc import Callable
from http import HTTPStatus

from flask import request

PASSING = (HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
# Leads from the explanation and the id of the request to the page, or to None if the form cannot be
# shown.
FormPage = Callable[[str, str], str | None]
_pages: dict[str, FormPage] = {}


def over_form(endpoint: str) -> Callable[[FormPage], FormPage]:
    """Show errors of an endpoint by the page of its form."""

    def register(page: FormPage) -> FormPage:
        _pages[endpoint] = page
        return page

    return register


def page_over_form(status: int, explanation: str, request_id: str) -> str | None:
    """Return the page of the form that was sent; None without one, or for an error that stays."""
    page = _pages.get(request.endpoint or "")
    if page is None or request.method != "POST" or status not in PASSING:
        return None
    return page(explanation, request_id)
