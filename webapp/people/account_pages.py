"""The pages of one's own account: the password, the second factor, and the code of a sign-in."""

import logging
import re

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_security import current_user
from werkzeug.wrappers import Response
from wtforms import Field

from webapp.extensions import settings
from webapp.ledger.transaction import unit_of_work
from webapp.people import passwords, second_factor, service, sessions, throttle, tries
from webapp.people.forms import FAULTS, CodeForm, EnrolForm, PasswordForm, PresentForm
from webapp.people.persons import find_person

log = logging.getLogger(__name__)

blueprint = Blueprint("account", __name__, url_prefix="/account")
Answer = str | Response | tuple[str, int]
# A path of this site, as browsers read it: two slashes would begin the name of another host.
LOCAL = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


@blueprint.get("")
def show() -> str:
    return render_template(
        "people/account.html",
        person=find_person(current_user.id),
        codes=second_factor.count_recovery_codes(current_user.id),
        required=settings().require_second_factor,
        done=request.args.get("done"),
    )


@blueprint.route("/password", methods=["GET", "POST"])
def password() -> Answer:
    form = PasswordForm()
    first = sessions.next_step(current_user) == sessions.PASSWORD
    if first:
        del form.present  # it has just been entered
    if form.validate_on_submit() and (first or _is_present(form)) and _is_chosen_well(form):
        hashed = passwords.hashed(str(form.new.data))
        me = current_user.id
        with unit_of_work() as transaction:
            new = service.set_password(transaction, me, password_hash=hashed, operator_id=me)
        sessions.keep(new)
        return redirect(_next() if first else url_for("account.show", done="password"), 303)
    shortest = passwords.MIN_PASSWORD
    return _form("people/own_password.html", form, first=first, shortest=shortest)


@blueprint.route("/second-factor", methods=["GET", "POST"])
def enrol() -> Answer:
    """Set up an authenticator app."""
    if current_user.totp_secret is not None:
        done = "on" if request.method == "POST" else None  # the form was sent twice
        return redirect(url_for("account.show", done=done), 303)
    form = EnrolForm()
    if sessions.next_step(current_user) == sessions.ENROL:
        del form.present  # the password has just been entered
    secret = second_factor.opened(form.sealed.data or "", current_user.id)
    if form.validate_on_submit() and ("present" not in form or _is_present(form)):
        codes = _turn_on(secret, str(form.code.data)) if secret else None
        if codes:
            return render_template("people/recovery_codes.html", codes=codes)
        form.code.errors = [_("This code is wrong. Enter the one that the app shows now.")]
    new = second_factor.enrol(current_user.id, current_user.username, secret)
    form.sealed.data = new.sealed
    return _form("people/enrol.html", form, enrolment=new)


@blueprint.route("/second-factor/off", methods=["GET", "POST"])
def second_factor_off() -> Answer:
    if current_user.totp_secret is None:
        return redirect(url_for("account.show"))
    form = PresentForm()
    if form.validate_on_submit() and _is_present(form):
        me = current_user.id
        with unit_of_work() as transaction:
            second_factor.turn_off(transaction, me, operator_id=me)
        return redirect(url_for("account.show", done="off"), 303)
    required = settings().require_second_factor
    return _form("people/second_factor_off.html", form, required=required)


@blueprint.route("/recovery-codes", methods=["GET", "POST"])
def recovery_codes() -> Answer:
    if current_user.totp_secret is None:
        return redirect(url_for("account.show"))
    form = PresentForm()
    if form.validate_on_submit() and _is_present(form):
        with unit_of_work() as transaction:
            codes = second_factor.new_recovery_codes(transaction, current_user.id)
        return render_template("people/recovery_codes.html", codes=codes)
    return _form("people/new_recovery_codes.html", form)


@blueprint.route("/code", methods=["GET", "POST"])
def code() -> Answer:
    """Ask for the second factor, after the password."""
    if sessions.next_step(current_user) != sessions.CODE:
        return redirect(_next())
    form = CodeForm()
    if form.validate_on_submit():
        if _is_code(str(form.code.data)):
            sessions.pass_second_factor(current_user.totp_secret)
            return redirect(_next(), 303)
        form.code.errors = [_("This code is wrong, or was used before.")]
    return _form("people/code.html", form)


def _next() -> str:
    """Return the page that the sign-in leads to."""
    there = request.args.get("next", "")
    return there if LOCAL.fullmatch(there) else url_for("applications.home")


def _turn_on(secret: str, typed: str) -> list[str] | None:
    tried = tries.count(throttle.of_codes(current_user.id))
    with unit_of_work() as transaction:
        codes = second_factor.turn_on(transaction, current_user.id, secret=secret, code=typed)
    if codes:
        tries.uncount(tried)
        sessions.pass_second_factor(secret)
    return codes


def _is_code(typed: str) -> bool:
    tried = tries.count(throttle.of_codes(current_user.id))
    with unit_of_work() as transaction:
        right = second_factor.accept(
            transaction, current_user.id, secret=current_user.totp_secret, code=typed
        )
    if right:
        tries.uncount(tried)
    else:
        log.warning("refused a code from %s: user %s", request.remote_addr, current_user.id)
    return right


def _is_present(form: PresentForm) -> bool:
    """Return whether the present password is right; it may be tried as often as a sign-in."""
    address = throttle.of_address(request.remote_addr or "")
    tried = tries.count(throttle.of_account(current_user.username), address)
    if passwords.matches(str(form.present.data), current_user.password):
        tries.uncount(tried)
        return True
    form.present.errors = [_("This is not your present password.")]
    return False


def _is_chosen_well(form: PasswordForm) -> bool:
    new: Field = form.new
    fault = passwords.fault_of(
        new.data, username=current_user.username, present=current_user.password
    )
    if fault:
        new.errors = [FAULTS[fault]]
    return fault is None


def _form(template: str, form: PresentForm | CodeForm, **more: object) -> tuple[str, int]:
    page = render_template(template, form=form, **more)
    return page, 422 if form.is_submitted() else 200
