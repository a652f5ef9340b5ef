"""Tests of webapp/config.py and of settings in secret files."""

import os
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from tests.fixtures.desk import config_from
from webapp.config import Config
from webapp.failures import InvalidSetting
from webapp.secret_files import variable

ROOT = Path(__file__).parents[2]
BAD = {
    "LOAN_WORKERS": ["0", "-1", "two", "1.5", "1e3"],
    "LOAN_THREADS": ["0", "many"],
    "LOAN_HTTPS": ["maybe", "1", "true"],
    "LOAN_LANGUAGE": ["de", "english"],
    "LOAN_TIMEZONE": ["Paris", "Europe", "../etc/passwd", "/etc/localtime"],
    "LOAN_LOG_LEVEL": ["loud"],
    "LOAN_LETTER_REGIME": ["uk", "eu, us"],
    "LOAN_LETTER_TEMPLATES": ["nowhere/letters"],
    "LOAN_SECRET_KEY": ["short", "x" * 31],
    "LOAN_DATABASE_URL": [
        "mysql://user@host/name",
        "sqlite:///file.db",
        "postgresql",
        "host/name",
        "postgresql://user@host:port/name",
        "postgresql://user@host/name?nonsense=1",
        "postgresql://user@host/name?port=x",
        "postgresql://user@host:99999/name",
        "postgresql://user@host:0/name",
        "postgresql://user@host/name?sslmod=require",
    ],
    "LOAN_BIND": ["5000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:70000"],
}


INJECTED = {  # by Kubernetes for a service named loan-desk, and by a link to a container
    "LOAN_DESK_SERVICE_HOST": "10.0.0.1",
    "LOAN_DESK_SERVICE_PORT": "5000",
    "LOAN_DESK_SERVICE_PORT_HTTP": "5000",
    "LOAN_DESK_PORT": "tcp://10.0.0.1:5000",
    "LOAN_DESK_PORT_5000_TCP": "tcp://10.0.0.1:5000",
    "LOAN_DESK_PORT_5000_TCP_PROTO": "tcp",
    "LOAN_DESK_PORT_5000_TCP_PORT": "5000",
    "LOAN_DESK_PORT_5000_TCP_ADDR": "10.0.0.1",
    "LOAN_PORT": "tcp://10.0.0.1:5000",
    "LOAN_SERVICE_HOST": "10.0.0.1",
    "LOAN_DB_NAME": "/desk/loan_db",
    "LOAN_DB_ENV_PG_MAJOR": "17",
}


def read(**variables):
    return config_from(variables)


@pytest.fixture
def secret_files(tmp_path):
    """Write secret files that only their owner may read, and return their folder."""

    def write(**files):
        folder = tmp_path / "secrets"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(content)
        return folder

    return write


def test_defaults():
    config = read()
    assert config.https is False
    assert config.workers == 2
    assert config.bundle == Path("models/consumer_credit")
    assert config.timezone == ZoneInfo("Europe/Paris")
    for name, kind in (("instance", Path), ("challenger", str), ("bind", str), ("threads", int)):
        assert isinstance(getattr(config, name), kind)


def test_empty_means_the_default():
    empty = {variable(name): " " for name in Config.model_fields}
    assert read(**empty) == Config()


def test_words_in_any_case():
    config = read(LOAN_HTTPS="YES", LOAN_LANGUAGE=" Fr ", LOAN_LOG_LEVEL="Warning")
    assert (config.https, config.language, config.log_level) == (True, "fr", "warning")


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_bad_setting_is_one_clear_line(name, value):
    with pytest.raises(InvalidSetting) as raised:
        read(**{name: value})
    message = str(raised.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    secret = name in ("LOAN_SECRET_KEY", "LOAN_DATABASE_URL")
    assert (repr(value) in message) != secret


def test_bad_settings_are_a_line_each():
    with pytest.raises(InvalidSetting) as raised:
        read(LOAN_WORKERS="two", LOAN_BUNDEL="x", LOAN_HTTPS="maybe", LOAN_THREADS="3")
    assert str(raised.value).splitlines() == [
        "LOAN_HTTPS: 'maybe' cannot be used. "
        "`yes` if browsers use HTTPS: cookies are then sent only over HTTPS.",
        "LOAN_WORKERS: 'two' cannot be used. Processes that answer requests.",
        "LOAN_BUNDEL: no such setting",
    ]


def test_unknown_settings_are_named():
    with pytest.raises(InvalidSetting, match=r"^LOAN_BUNDEL, LOAN_X: no such setting$"):
        read(LOAN_X="", LOAN_BUNDEL="x", HOME="/", LOAN_BIND=":1")


def test_setting_in_lower_case_is_refused():
    with pytest.raises(InvalidSetting, match=r"^loan_bundel, loan_workers: no such setting$"):
        read(loan_workers="7", loan_bundel="x")


def test_variables_that_kubernetes_or_a_link_injects_are_ignored():
    assert read(**INJECTED) == Config()


@pytest.mark.parametrize("name", ["LOAN_PORT", "LOAN_DESK_PORT", "LOAN_NAME", "LOAN_SERVICE"])
def test_variable_that_only_looks_injected_is_refused(name):
    with pytest.raises(InvalidSetting, match=f"^{name}: no such setting$"):
        read(**{name: "8000"})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_url_with_any_scheme(scheme):
    address = "user:p%40ss@host:5433/name?sslmode=require"
    config = read(LOAN_DATABASE_URL=f"{scheme}://{address}")
    assert config.database == f"postgresql+psycopg://{address}"


def test_sqlite_file_is_in_the_instance_folder(tmp_path):
    config = Config(instance=tmp_path)
    assert config.database == f"sqlite:///{tmp_path}/loan_desk.db"


def test_settings_cannot_be_changed_and_hide_their_secrets():
    config = Config(secret_key="s" * 40, database_url="postgresql://user:password@host/name")
    with pytest.raises(ValidationError, match="frozen"):
        config.workers = 3
    assert "sss" not in repr(config)
    assert "password" not in repr(config)


def test_secret_files_are_settings(secret_files):
    url = "postgresql://user:password@host/name"
    folder = secret_files(loan_secret_key="k" * 40 + "\n", LOAN_DATABASE_URL=url, other="x")
    given = {"LOAN_SECRETS_DIR": str(folder), "LOAN_BIND": ":1"}
    config = read(**given)
    assert config.secret() == "k" * 40
    assert config.database_url == url
    assert config.bind == ":1"
    assert (
        read(**given, LOAN_SECRET_KEY="v" * 40).secret_key == "v" * 40
    )  # a variable takes precedence


@pytest.mark.parametrize(
    ("name", "content", "mode", "line"),
    [
        ("loan_secret_key", "", 0o600, "{file}: empty. "),
        ("loan_secret_key", " \n", 0o600, "{file}: empty. "),
        ("loan_secret_key", "short", 0o600, "LOAN_SECRET_KEY: this value cannot be used. "),
        ("loan_secret_key", "k" * 40, 0o604, "{file}: others may read it. Run: chmod 600 {file}"),
        ("loan_secret_key", "k" * 40, 0o644, "{file}: others may read it. Run: chmod 600 {file}"),
        ("loan_database_url", "mysql://a", 0o600, "LOAN_DATABASE_URL: this value cannot be used. "),
        ("loan_secret", "k" * 40, 0o600, "LOAN_SECRET: no such setting"),
    ],
)
def test_bad_secret_file_is_one_clear_line(secret_files, name, content, mode, line):
    folder = secret_files(**{name: content})
    (folder / name).chmod(mode)
    with pytest.raises(InvalidSetting) as raised:
        read(LOAN_SECRETS_DIR=str(folder))
    message = str(raised.value)
    assert message.startswith(line.format(file=folder / name))
    assert "\n" not in message


def test_secret_files_that_cannot_be_read_are_one_clear_line(secret_files):
    folder = secret_files()
    (folder / "loan_secret_key").mkdir()
    with pytest.raises(InvalidSetting, match=r"loan_secret_key: cannot be read: [^\n]+$"):
        read(LOAN_SECRETS_DIR=str(folder))
    (folder / "loan_secret_key").rmdir()
    (folder / "loan_secret_key").write_bytes(b"\xff" * 40)
    with pytest.raises(InvalidSetting, match=r"loan_secret_key: cannot be read: [^\n]+$"):
        read(LOAN_SECRETS_DIR=str(folder))
    with pytest.raises(InvalidSetting, match=r"^LOAN_SECRETS_DIR: [^\n]*nowhere: No such file"):
        read(LOAN_SECRETS_DIR=str(folder / "nowhere"))


@pytest.mark.parametrize(
    ("file", "skip", "shown"),
    [
        ("POSTGRES_PASSWORD=x\nLOAN_WORKERS=7\nLOAN_THREADS=6", "0", "7 9"),
        ("LOAN_WORKERS=7", "1", "2 9"),
        ("LOAN_BUNDEL=x", "0", "LOAN_BUNDEL: no such setting"),
        ("LOAN_WORKERS=two", "0", "LOAN_WORKERS: 'two' cannot be used."),
    ],
)
def test_file_of_variables_is_read_as_the_flask_commands_read_it(tmp_path, file, skip, shown):
    (tmp_path / ".env").write_text(file)
    read_them = "c = Config.from_environment(); print(c.workers, c.threads)"
    done = subprocess.run(
        [sys.executable, "-c", f"from webapp.config import Config; {read_them}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "FLASK_SKIP_DOTENV": skip, "LOAN_THREADS": "9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown in (done.stdout or done.stderr.splitlines()[-1])


def test_secrets_of_a_container_may_have_any_mode(secret_files, monkeypatch):
    folder = secret_files(loan_secret_key="k" * 40)
    (folder / "loan_secret_key").chmod(0o444)  # as Docker mounts them
    monkeypatch.setattr("webapp.secret_files.SECRETS_DIR", folder)
    assert read().secret() == "k" * 40
    assert read(LOAN_SECRETS_DIR=str(folder)).secret() == "k" * 40


@pytest.mark.parametrize(
    "command", [["-m", "gunicorn"], ["-m", "flask", "--app", "webapp", "prepare"]]
)
def test_bad_setting_stops_a_start_with_one_line(command, tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LOAN_")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**clean, "LOAN_INSTANCE": str(tmp_path), "LOAN_WORKERS": "two"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert not done.stdout
    [line] = done.stderr.strip().splitlines()
    assert "LOAN_WORKERS: 'two' cannot be used." in line
