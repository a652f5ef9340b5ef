"""What all routes of the API share: their blueprint, and how a POST is read."""

from flask import Blueprint, abort, g, request

from webapp.api.intake import JSON
from webapp.extensions import settings
from webapp.failures import InvalidKey
from webapp.language import current
from webapp.ledger.idempotency import Claim, body_digest, key_digest, read_key

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


def read(route: str) -> tuple[bytes, Claim | None]:
    """Return the body of a POST in JSON, and what it claims with its idempotency key."""
    if request.mimetype != JSON:
        abort(415)
    body = request.get_data()
    header = request.headers.get("Idempotency-Key")
    if header is not None:
        key = key_digest(route, read_key(header))
        return body, Claim(g.operator.id, key, body_digest(body), current())
    if settings().require_idempotency_key:
        raise InvalidKey
    return body, None
