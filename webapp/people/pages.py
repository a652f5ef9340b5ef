"""The pages on which an admin manages people."""

from collections.abc import Callable

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from webapp.failures import LastAdmin, NameRefused, NameTaken, OwnAccount
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys, passwords, second_factor, service
from webapp.people.forms import ROLE_HELP, ROLE_NAMES, PersonForm, RolesForm
from webapp.people.persons import Person, find_person, list_people
from webapp.people.tables import MAX_OPERATOR_ID

blueprint = Blueprint("people", __name__, url_prefix="/people")
Answer = str | Response | tuple[str, int]


@blueprint.app_context_processor
def _in_templates() -> dict[str, object]:
    return {"role_names": ROLE_NAMES, "role_help": ROLE_HELP}


@blueprint.get("")
def index() -> str:
    return render_template("people/index.html", people=list_people())


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> Answer:
    form = PersonForm()
    if form.validate_on_submit():
        password, hashed = passwords.new_password()
        try:
            with unit_of_work() as transaction:
                number = service.create_user(
                    transaction,
                    str(form.username.data),
                    password_hash=hashed,
                    roles=form.roles,
                    full_name=form.full_name.data or None,
                    temporary=True,
                    operator_id=g.operator.id,
                )
        except NameTaken:
            form.username.errors = [_("There is a user of this name already.")]
        except NameRefused:
            form.username.errors = [_("Nobody could sign in with this name.")]
        else:
            return _show_password(find_person(number), password)
    return render_template("people/new.html", form=form), 422 if form.is_submitted() else 200


@blueprint.route(f"/<id(last={MAX_OPERATOR_ID}):number>", methods=["GET", "POST"])
def show(number: int) -> Answer:
    person = find_person(number)
    if request.method == "GET":
        return _page(person, _form_of(person))
    action = ACTIONS.get(request.form.get("action", ""))
    if action is None:
        abort(400)
    try:
        return action(person)
    except OwnAccount:
        refused = _("This is your own account. Another administrator can do this.")
    except LastAdmin:
        refused = _("This is the last administrator who can sign in. Make another one first.")
    return _page(find_person(number), _form_of(person), refused=refused), 409


def _save(person: Person) -> Answer:
    form = RolesForm()
    if not form.validate():
        return _page(person, form), 422
    with unit_of_work() as transaction:
        me = g.operator.id
        full_name = form.full_name.data or ""
        if full_name != person.full_name:
            service.set_full_name(transaction, person.id, full_name, operator_id=me)
        service.set_roles(transaction, person.id, form.roles, operator_id=me)
    return _done(person, "saved")


def _disable(person: Person) -> Answer:
    with unit_of_work() as transaction:
        service.set_active(transaction, person.id, active=False, operator_id=g.operator.id)
    return _done(person, "disabled")


def _enable(person: Person) -> Answer:
    with unit_of_work() as transaction:
        service.set_active(transaction, person.id, active=True, operator_id=g.operator.id)
    return _done(person, "enabled")


def _new_password(person: Person) -> Answer:
    _refuse_own(person)
    password, hashed = passwords.new_password()
    with unit_of_work() as transaction:
        service.set_password(
            transaction,
            person.id,
            password_hash=hashed,
            temporary=True,
            operator_id=g.operator.id,
        )
    return _show_password(person, password)


def _reset_second_factor(person: Person) -> Answer:
    _refuse_own(person)
    with unit_of_work() as transaction:
        second_factor.turn_off(transaction, person.id, operator_id=g.operator.id)
    return _done(person, "second_factor")


ACTIONS: dict[str, Callable[[Person], Answer]] = {
    "save": _save,
    "disable": _disable,
    "enable": _enable,
    "password": _new_password,
    "second_factor": _reset_second_factor,
}


def _refuse_own(person: Person) -> None:
    """Send an admin to the pages of the own account, which ask for the present password."""
    if person.id == g.operator.id:
        raise OwnAccount("an admin changes these on the pages of the own account")


def _form_of(person: Person) -> RolesForm:
    return RolesForm(formdata=None, full_name=person.full_name, **dict.fromkeys(person.roles, True))


def _page(person: Person, form: RolesForm, *, refused: str = "") -> str:
    return render_template(
        "people/show.html",
        person=person,
        form=form,
        refused=refused,
        done=request.args.get("done"),
        own=person.id == g.operator.id,
        keys=api_keys.keys_in_use(person.id),
    )


def _done(person: Person, what: str) -> Response:
    return redirect(url_for("people.show", number=person.id, done=what), 303)


def _show_password(person: Person, password: str) -> str:
    return render_template("people/password.html", person=person, password=password)
