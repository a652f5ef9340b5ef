"""The list of decisions: its search, its filter and its pages."""

from flask import abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.columns import MAX_ID
from webapp.decisions import list_forms, listing
from webapp.decisions.conditions import Question
from webapp.decisions.filters import Filter, InvalidFilter, given_in, read_filter
from webapp.decisions.listing import Position
from webapp.decisions.pages import blueprint
from webapp.extensions import settings
from webapp.people.access import sees_all
from webapp.serving.served import model


@blueprint.get("/decisions")
def index() -> Response | str | tuple[str, int]:
    position = _position()
    try:
        chosen = read_filter(request.args.to_dict())
    except InvalidFilter as invalid:
        return _page(errors=invalid.errors), 422
    page = listing.list_decisions(question_of(chosen), position=position)
    number = None if chosen.search is None else listing.find_number(chosen.search, g.operator)
    if number is not None and not page.rows:
        return redirect(url_for("decisions.show", number=number))
    return _page(page=page, chosen=chosen, number=number, position=position)


def question_of(chosen: Filter) -> Question:
    return Question(chosen, g.operator, settings().timezone)


def _page(*, errors: dict[str, str] | None = None, **more: object) -> str:
    given = {name: _shown(text) for name, text in given_in(request.args.to_dict()).items()}
    chosen = more.get("chosen")
    return render_template(
        "decisions/index.html",
        errors={name: list_forms.MESSAGES[code] for name, code in (errors or {}).items()},
        given=given,
        chips=list_forms.chips_of(chosen) if isinstance(chosen, Filter) else [],
        choices=list_forms,
        operators=listing.list_operators() if sees_all(g.operator) else [],
        models=listing.list_models(),
        product=model.bundle.product,
        **more,
    )


def _shown(text: str) -> str:
    """Return a text without the characters that a page cannot hold."""
    return "".join(c for c in text if c.isprintable())


def _position() -> Position | None:
    for name in ("after", "before"):
        text = request.args.get(name)
        if text is not None:
            if not text.isascii() or not text.isdigit() or len(text) > 19 or int(text) > MAX_ID:
                abort(400)
            return Position(int(text), backwards=name == "before")
    return None
