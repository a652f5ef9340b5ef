"""The flask commands."""

import os
import re
import resource
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path

import click
import pytest
from flask.cli import ScriptInfo

from tests.fixtures.databases import disconnect
from webapp import create_app
from webapp.config import Config
from webapp.people import api_keys

ROOT = Path(__file__).parents[3]
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
COMMANDS = [
    ("prepare",),
    ("users",),
    ("users", "create"),
    ("users", "set-password"),
    ("users", "list"),
    ("users", "set-roles"),
    ("users", "disable"),
    ("users", "enable"),
    ("users", "reset-second-factor"),
    ("api-keys",),
    ("api-keys", "create"),
    ("api-keys", "revoke"),
    ("api-keys", "list"),
    ("replay",),
    ("audit",),
    ("audit", "verify"),
    ("audit", "key"),
    ("audit", "checkpoint"),
    ("audit", "prove"),
    ("erase",),
    *(("desk", name) for name in ("refer", "decide", "status")),
    ("challenger",),
    ("challenger", "run"),
    ("outcomes",),
    ("outcomes", "import"),
    ("export",),
    ("export", "training-data"),
    ("letters",),
    ("letters", "check"),
    ("monitor",),
    ("monitor", "run"),
    ("monitor", "report"),
    ("demo",),
]


@pytest.fixture
def run(app):
    """Run a command; return its exit code and the lines of its two streams."""
    return lambda *arguments: invoked(app, *arguments)


def invoked(app, *arguments):
    done = app.test_cli_runner().invoke(args=arguments)
    return done.exit_code, done.stdout.splitlines(), done.stderr.splitlines()


def command_of(group, *names):
    for name in names:
        group = group.commands[name]
    return group


def not_explained(option):
    return isinstance(option, click.Option) and not option.help


@ON_ONE
def test_every_command_answers_help(run, app):
    for command in COMMANDS:
        code, lines, errors = run(*command, "--help")
        assert code == 0
        assert not errors
        about = lines[2].strip()
        assert about[0].isupper()
        assert about.endswith(".")
        assert not [o.name for o in command_of(app.cli, *command).params if not_explained(o)]
    ours = {name for name in app.cli.commands if name not in ("db", "routes", "run", "shell")}
    assert ours == {command[0] for command in COMMANDS}


def test_api_keys_create_prints_the_key_alone(run, app):
    code, [key], errors = run("api-keys", "create", "core-banking")
    assert (code, errors) == (0, [])
    assert key.startswith("ld_")
    with app.app_context():
        assert api_keys.operator_of_key(key).name == "core-banking"


def test_name_taken_is_one_line(run):
    assert run("api-keys", "create", "core-banking")[0] == 0
    for command in (("api-keys", "create", "core-banking"), ("users", "create", "clerk")):
        code, lines, errors = run(*command)
        assert code == 1
        assert not lines
        [line] = errors
        assert command[-1] in line


@ON_ONE
def test_name_unknown_is_one_line(run):
    for command in (
        ("api-keys", "revoke", "nothing"),
        *(("users", verb, "nobody") for verb in ("set-password", "disable", "enable")),
        ("users", "reset-second-factor", "nobody"),
        ("users", "set-roles", "nobody", "clerk"),
    ):
        code, lines, errors = run(*command)
        assert (code, lines, len(errors)) == (1, [], 1)
        assert command[2] in errors[0]


@ON_ONE
def test_invalid_name_is_one_line(run):
    for name in ("", " ", "x" * 65, "a\nb", "a\x00b", "a\u202eb"):
        for command in ("users", "api-keys"):
            code, lines, errors = run(command, "create", "--", name)
            assert (code, lines, len(errors)) == (1, [], 1), name


@ON_ONE
def test_invalid_full_name_is_one_line(run, query):
    for name in ("", " ", "x" * 121, "a\nb", "a\u202eb"):
        code, lines, errors = run("users", "create", "anna", "--full-name", name)
        assert (code, lines, len(errors)) == (1, [], 1), name
        assert "a full name has 1 to 120 printable characters" in errors[0]
    assert query("SELECT count(*) FROM users") == [(1,)]


def test_api_keys_list_and_revoke(run):
    assert run("api-keys", "list") == (0, [], [])
    for name in ("bb", "aa"):
        run("api-keys", "create", name)
    assert run("api-keys", "revoke", "aa")[0] == 0
    code, lines, errors = run("api-keys", "list")
    assert (code, errors) == (0, [])
    assert re.fullmatch(r"aa\tcreated \d{4}-\d\d-\d\d by system\trevoked \d{4}-\d\d-\d\d", lines[0])
    assert re.fullmatch(r"bb\tcreated \d{4}-\d\d-\d\d by system\tin use", lines[1])


@ON_ONE
def test_users_sign_in_with_the_name_they_were_given(run, app, sign_in):
    for name in ("j.doe", "Jean-Paul O'Neil", "zoé", "zoe\u0301 d", "anna@bank.example", "7", "李"):
        code, lines, _ = run("users", "create", name)
        assert code == 0, name
        browser = sign_in(app.test_client(), name, lines[-1])
        assert browser.get("/decisions").status_code == 200
    assert run("users", "create", "zoe\u0301")[0] == 1  # the same name in other code points
    for name in ("<b>", "a & b"):
        code, lines, errors = run("users", "create", name)
        assert (code, lines, len(errors)) == (1, [], 1)


@ON_ONE
def test_users_set_password(run, app, sign_in):
    first = run("users", "create", "zoé")[1][-1]
    browser = sign_in(app.test_client(), "zoé", first)
    second = run("users", "set-password", "zoe\u0301")[1][-1]
    assert first != second
    assert browser.get("/decisions").status_code == 302
    sign_in(app.test_client(), "zoé", second)


def test_prepare_prints_the_first_password_once(config, sign_in):
    app = create_app(config)
    code, lines, errors = invoked(app, "prepare")
    assert (code, errors) == (0, [])
    password = re.search(r"sign in as admin with the password (\S+)", "\n".join(lines))[1]
    browser = sign_in(app.test_client(), "admin", password)
    assert browser.get("/people").location.startswith("/account/password")
    code, lines, errors = invoked(app, "prepare")
    assert (code, errors) == (0, [])
    assert password not in "\n".join(lines)
    disconnect(app)


def test_unprepared_database_is_one_line(config):
    app = create_app(config)
    for command in (
        ("users", "create", "clerk"),
        ("users", "set-password", "clerk"),
        ("api-keys", "create", "core-banking"),
        ("api-keys", "list"),
    ):
        code, lines, errors = invoked(app, *command)
        assert (code, lines, len(errors)) == (1, [], 1)
        assert errors[0].endswith("flask --app webapp prepare)")
    disconnect(app)


def test_unavailable_database_is_one_line(tmp_path):
    (tmp_path / "loan_desk.db").mkdir()
    for url in ("", "postgresql://user:secret@127.0.0.1:1/name"):
        app = create_app(Config(instance=tmp_path, database_url=url))
        for command in (("prepare",), ("api-keys", "list")):
            code, lines, errors = invoked(app, *command)
            assert (code, lines, len(errors)) == (1, [], 1), command
            assert errors[0].startswith("Error: the database: ")
            assert "secret" not in errors[0]


@pytest.mark.parametrize("full", ["disk", "output"])
def test_prepare_without_space_is_one_line(tmp_path, full):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LOAN_")}
    (tmp_path / "secret_key").touch(mode=0o600)
    (tmp_path / "secret_key").write_text("x" * 60)

    def limit():
        if full == "disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    with open("/dev/full" if full == "output" else os.devnull, "w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "webapp", "prepare"],
            cwd=ROOT,
            env={**clean, "LOAN_INSTANCE": str(tmp_path)},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=limit,
        )
    assert done.returncode == 1
    errors = {
        "disk": "the database: disk I/O error",
        "output": "cannot write: No space left on device",
    }
    assert done.stderr == f"Error: {errors[full]}\n"


@ON_ONE
@pytest.mark.parametrize(
    "command", ["users create a", "users set-password clerk", "api-keys create a", "api-keys list"]
)
def test_secret_that_cannot_be_printed_is_one_line(run, app, command):
    run("api-keys", "create", "core-banking")
    script, refused = ScriptInfo(create_app=lambda: app), pytest.raises(click.ClickException)
    # What was not written is tried again when the file is closed: an OSError.
    with suppress(OSError), open("/dev/full", "w") as full, redirect_stdout(full), refused as told:
        app.cli.main(command.split(), obj=script, standalone_mode=False)
    assert told.value.message == "cannot write: No space left on device"


def test_printed_command_can_be_run(tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LOAN_")}
    run = {
        "cwd": ROOT,
        "env": {**clean, "LOAN_INSTANCE": str(tmp_path)},
        "capture_output": True,
        "text": True,
        "timeout": 60,
    }
    flask = [sys.executable, "-m", "flask", "--app", "webapp"]
    prepared = subprocess.run([*flask, "prepare"], check=True, **run)
    assert not prepared.stderr
    prepared_again = subprocess.run([*flask, "prepare"], check=True, **run)
    [shown] = [x for x in prepared_again.stdout.splitlines() if "set-password" in x]
    changed = subprocess.run(["bash", "-c", shown], check=True, **run)
    assert len(changed.stdout.strip()) == 16
