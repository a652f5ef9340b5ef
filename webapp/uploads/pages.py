"""The page of a refused file: what is wrong, by line and column, and all of it to download."""

from flask import Blueprint, Response, g, render_template
from flask_babel import gettext as _

from webapp.csv_files import download
from webapp.language import words
from webapp.uploads.service import find_refused

blueprint = Blueprint("uploads", __name__)
MAX_SHOWN = 200
PAGES = {"batch": "batches.index", "outcomes": "outcomes.index"}  # where the file was sent


@blueprint.get("/uploads/<id:number>")
def show(number: int) -> str:
    refused = find_refused(number, operator=g.operator)
    return render_template(
        "uploads/show.html",
        refused=refused,
        lines=len({row.line for row in refused.wrong}),
        max_shown=MAX_SHOWN,
        back=PAGES[refused.kind],
    )


@blueprint.get("/uploads/<id:number>/errors.csv")
def errors(number: int) -> Response:
    wrong = find_refused(number, operator=g.operator).wrong
    head = (_("Line"), _("Column"), _("What is wrong"))
    rows = ((row.line, row.error.field, words(row.error.message)) for row in wrong)
    return download([head, *rows], name=_("errors") + f"-{number}.csv")
