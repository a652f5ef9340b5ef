"""The pages of letters: the part of a decision's page, a letter, its preview, the print sheet."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import (
    Blueprint,
    Response,
    abort,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import force_locale, gettext as _, lazy_gettext
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from webapp.columns import now
from webapp.decisions import history, pages as decisions, search
from webapp.decisions.damage import Damaged
from webapp.decisions.history import HistoryEvent
from webapp.decisions.records import Contents, Decision
from webapp.error_pages import error_page
from webapp.errors import request_id
from webapp.extensions import db, settings
from webapp.failures import LetterBroken, LetterMeanwhile, NoLetter, NotFound
from webapp.language import current, day, moment
from webapp.ledger.transaction import end_reading, unit_of_work
from webapp.letters import drafting, service, wording
from webapp.letters.forms import LANGUAGES, LetterForm, language_of, new_form
from webapp.letters.records import Draft, Kind, Letter, Rendered
from webapp.letters.sheet import sheet_of
from webapp.letters.standing import Standing, standing_of
from webapp.reviews.records import CODES
from webapp.reviews.search import find_reviewed, list_reviews
from webapp.serving.served import model

log = logging.getLogger(__name__)
blueprint = Blueprint("letters", __name__)
UNSET = re.compile(r"\[(LOAN_[A-Z_]+)\]")  # the default of a setting that a bank replaces
MADE = "letter_made"  # in the session: the letter whose original is to be shown once
KINDS = {
    "granted": lazy_gettext("Granted"),
    "refused": lazy_gettext("Refused by the model"),
    "refused_policy": lazy_gettext("Refused by a policy rule"),
    "referred": lazy_gettext("A person will look at it"),
    "granted_review": lazy_gettext("Granted after a review"),
    "refused_review": lazy_gettext("Refused after a review"),
}
NO_LETTER = {
    "no_reasons": lazy_gettext(
        "No letter can be written here: no reason for this refusal is stored that may be told to "
        "the applicant. Write to the applicant by hand."
    ),
    "lapsed": lazy_gettext(
        "No letter can be written here: the review of this decision lapsed without a final word."
    ),
    "corrected": lazy_gettext(
        "No letter can be written here: this application was corrected before a person had "
        "decided. Write the letter on the decision that corrects it."
    ),
}


def _made(decision: Decision) -> Iterator[HistoryEvent]:
    for letter in service.list_letters(decision.id):
        if not isinstance(letter, Damaged):
            what = str(_("Letter made"))
            more = f"{KINDS[letter.kind]} ({LANGUAGES[letter.language]})"
            yield HistoryEvent(letter.created_at, letter.operator, what, more)


history.register(blueprint, _made)


@dataclass(frozen=True)
class Part:
    """What the page of a decision shows of its letters."""

    letters: Sequence[Letter | Damaged]
    kind: Kind | None  # of the letter that can be made now, if one can
    obstacle: str  # why none can: a key of NO_LETTER, or nothing
    form: LetterForm
    meanwhile: str  # what has changed since the form was opened: "letter", "decision" or nothing


@blueprint.app_context_processor
def _in_templates() -> dict[str, object]:
    return {
        "letters_of": _letters_of,
        "letter_kinds": KINDS,
        "letter_languages": LANGUAGES,
        "no_letter": NO_LETTER,
    }


def _letters_of(decision: Decision, contents: Contents | None) -> Part:
    letters = service.list_letters(decision.id)
    kind, obstacle = _kind_of(decision, contents) if contents else (None, "")
    form = g.get("letter_form")
    meanwhile = g.get("letter_meanwhile", "")
    if form is None or meanwhile:  # the form is for what there is now
        language, recipient = (form.language.data, form.recipient.data) if form else (current(), "")
        form = new_form(kind=kind, letters=len(letters), language=language, recipient=recipient)
    return Part(letters, kind, obstacle, form, meanwhile)


def _kind_of(decision: Decision, contents: Contents) -> tuple[Kind | None, str]:
    """Return the kind of letter that can be made now, or why none can."""
    try:
        return _standing_of(decision, contents).kind, ""
    except NoLetter as error:
        return None, error.reason


def _standing_of(decision: Decision, contents: Contents) -> Standing:
    corrected = decision.referred and _is_corrected(decision)
    return standing_of(decision, contents, list_reviews(decision.id), corrected=corrected)


def _is_corrected(decision: Decision) -> bool:
    return find_reviewed(db.session.connection(), decision.id).corrected_by is not None


@blueprint.errorhandler(LetterBroken)
def _broken(error: LetterBroken) -> Response:
    log.error("a template of letters cannot be used: %s", error)
    explanation = _(
        "The letter could not be written, and nothing was stored. Its template %(template)s cannot "
        "be used: %(problem)s. Tell the people who run Loan Desk.",
        template=error.template,
        problem=error.problem,
    )
    return Response(error_page(409, explanation=explanation, request_id=request_id()), 409)


@blueprint.errorhandler(NoLetter)
def _no_letter(error: NoLetter) -> Response:
    log.info("no letter: %s", error)
    explanation = str(NO_LETTER[error.reason])
    return Response(error_page(409, explanation=explanation, request_id=request_id()), 409)


@blueprint.post("/decisions/<id:number>/letters")
def make(number: int) -> BaseResponse | str | tuple[str, int]:
    """Make a letter, or show what it would be."""
    decision, contents = search.find_decision(number)
    if contents is None:
        raise NotFound(f"the contents of decision {number} have been erased")
    form = LetterForm()
    if not form.validate_on_submit():
        if form.number.errors:  # nobody types it
            abort(400)
        g.letter_form = form
        return decisions.show(number), 422
    draft, rendered = _write(decision, contents, form)
    if form.kind.data != draft.kind:
        return _again(number, form, meanwhile="decision"), 409
    if "preview" in request.form:
        with force_locale(draft.language):
            mark = _("Preview: this letter has not been sent.")
        return render_template(
            "letters/preview.html", decision=decision, form=form, mark=mark, **_paper(rendered.text)
        )
    try:
        with unit_of_work() as transaction:
            made = service.make_letter(
                transaction,
                draft,
                rendered,
                decision_id=number,
                number=int(form.number.data or ""),
                operator=g.operator,
            )
    except LetterMeanwhile:
        return _again(number, form, meanwhile="letter"), 409
    log.info("letter %s on decision %s by user %s", made, number, g.operator.id)
    session[MADE] = [number, made]
    return redirect(url_for("letters.show", number=number, which=made), 303)


@blueprint.get("/decisions/<id:number>/letters")
def index(number: int) -> BaseResponse:
    """Redirect to the decision: a reload or a new language after an invalid form sends a GET."""
    return redirect(url_for("decisions.show", number=number, _anchor="letters"))


@blueprint.get("/decisions/<id:number>/letters/<id:which>")
def show(number: int, which: int) -> str:
    decision, _contents = search.find_decision(number)
    letter, text = service.find_letter(decision.id, which)
    # Whoever has just made it sees the original once; after that, it is a copy.
    original = session.pop(MADE, None) == [number, which]
    mark = "" if original else _mark_of_copy(letter)
    return render_template(
        "letters/show.html", decision=decision, letter=letter, mark=mark, **_paper(text)
    )


@blueprint.get("/decisions/<id:number>/sheet")
def sheet(number: int) -> str:
    decision, contents = search.find_decision(number)
    return render_template(
        "letters/sheet.html",
        decision=decision,
        sheet=sheet_of(decision, contents),
        letters=service.list_letters(decision.id),
        review_codes=CODES,
        printed_at=now(),
    )


def _again(number: int, form: LetterForm, *, meanwhile: str) -> str:
    """Show the page of the decision with what has changed, and the form as it was filled in."""
    end_reading()
    g.letter_form, g.letter_meanwhile = form, meanwhile
    return decisions.show(number)


def _write(decision: Decision, contents: Contents, form: LetterForm) -> tuple[Draft, Rendered]:
    """Return what a letter is written from, and its text; raises LetterBroken and NoLetter."""
    config = settings()
    bundle = model.of(decision.model)
    draft = drafting.draft_letter(
        decision,
        contents,
        _standing_of(decision, contents),
        bundle.product if bundle else model.product(decision.product),
        language=language_of(form),
        recipient=form.recipient.data or "",
        moment=now(),
        config=config,
    )
    return draft, wording.render(draft, folder=wording.folder_of(config.letter_templates))


def _paper(text: str | None) -> dict[str, object]:
    """Return a letter's text for a page, with the settings that it lacks."""
    unset = sorted(set(UNSET.findall(text or "")))
    # Its template has escaped all values in it.
    return {"text": None if text is None else Markup(text), "unset": unset}  # noqa: S704


def _mark_of_copy(letter: Letter) -> str:
    with force_locale(letter.language):
        return str(
            _(
                "Copy of %(today)s. The letter was made on %(moment)s.",
                today=day(now().astimezone(settings().timezone).date()),
                moment=moment(letter.created_at),
            )
        )
