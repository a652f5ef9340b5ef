"""Problems: how the API answers what it refuses, as problem+json (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify
from flask_babel import gettext as _

from ml.product.errors import FieldError, InvalidApplication, MalformedApplication
from webapp.failures import InvalidKey, InvalidOutcome, KeyReused
from webapp.language import words

log = logging.getLogger(__name__)

KINDS = "urn:loan-desk:problem:"  # the start of the type of a problem
PROBLEM = "application/problem+json"
MAX_ERRORS = 100  # listed in one answer, the product's own fields first


def init_app(app: Flask) -> None:
    app.register_error_handler(InvalidApplication, _invalid_application)
    app.register_error_handler(InvalidOutcome, _invalid_outcome)
    app.register_error_handler(MalformedApplication, _malformed)
    app.register_error_handler(InvalidKey, _invalid_key)
    app.register_error_handler(KeyReused, _key_reused)


def problem(
    status: int,
    *,
    detail: str,
    kind: str = "",
    **more: Any,  # noqa: ANN401 - extension members
) -> Response:
    body = {
        "type": f"{KINDS}{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    response = jsonify({**body, **more})
    response.status_code = status
    response.content_type = PROBLEM
    return response


def _invalid_application(error: InvalidApplication) -> Response:
    return _invalid(error.errors, kind="invalid-application", title=_("Invalid application"))


def _invalid_outcome(error: InvalidOutcome) -> Response:
    return _invalid(error.errors, kind="invalid-outcome", title=_("Invalid outcome"))


def _invalid(errors: list[FieldError], *, kind: str, title: str) -> Response:
    listed = [
        {"field": e.field, "code": e.code, "detail": words(e.message), "pointer": _pointer(e.field)}
        for e in errors[:MAX_ERRORS]
    ]
    detail = _("Some fields are invalid.")
    return problem(422, detail=detail, kind=kind, title=title, errors=listed)


def _pointer(field: str) -> str:
    return "/" + field.replace("~", "~0").replace("/", "~1")


def _malformed(error: MalformedApplication) -> Response:
    log.info("refused a body: %s", error)
    return problem(400, detail=_("The body is not a JSON object in UTF-8."))


def _invalid_key(_error: InvalidKey) -> Response:
    return problem(
        400,
        detail=_(
            "Send the header Idempotency-Key with 1 to 255 letters, digits and the characters "
            "- _ . : ~ + / =, such as a UUID."
        ),
        kind="invalid-idempotency-key",
        title=_("Invalid idempotency key"),
    )


def _key_reused(_error: KeyReused) -> Response:
    return problem(
        422,
        detail=_("This Idempotency-Key was sent before with another body. Use a new key."),
        kind="idempotency-key-reused",
        title=_("Idempotency key reused"),
    )
