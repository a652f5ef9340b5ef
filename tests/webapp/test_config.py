"""The settings."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from threading import Barrier

import pytest

from webapp.config import Config, InvalidSetting, variable

ROOT = Path(__file__).parents[2]
BAD = {
    "LOAN_WORKERS": ["0", "-1", "two", "1.5", "1e3"],
    "LOAN_THREADS": ["0", "many"],
    "LOAN_HTTPS": ["maybe", "1", "true"],
    "LOAN_LANGUAGE": ["de", "english"],
    "LOAN_TIMEZONE": ["Paris", "Europe", "../etc/passwd", "/etc/localtime"],
    "LOAN_LOG_LEVEL": ["loud"],
    "LOAN_SECRET_KEY": ["short", "x" * 31],
    "LOAN_DATABASE_URL": [
        "mysql://user@host/name",
        "sqlite:///file.db",
        "postgresql",
        "host/name",
        "postgresql://user@host:port/name",
        "postgresql://user@host/name?nonsense=1",
        "postgresql://user@host/name?port=x",
    ],
    "LOAN_BIND": ["5000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:70000"],
}


def test_defaults():
    config = Config.from_environment({})
    assert config.https is False
    assert config.workers == 2
    assert config.bundle == Path("models/consumer_credit")
    for field in fields(Config):
        assert isinstance(getattr(config, field.name), field.type)


def test_empty_means_the_default():
    empty = {variable(f.name): " " for f in fields(Config)}
    assert Config.from_environment(empty) == Config.from_environment({})


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_bad_setting_is_one_clear_line(name, value):
    with pytest.raises(InvalidSetting) as raised:
        Config.from_environment({name: value})
    message = str(raised.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    secret = name in ("LOAN_SECRET_KEY", "LOAN_DATABASE_URL")
    assert (repr(value) in message) != secret


def test_unknown_settings_are_named():
    with pytest.raises(InvalidSetting, match=r"^LOAN_BUNDEL, LOAN_X: no such setting$"):
        Config.from_environment({"LOAN_X": "", "LOAN_BUNDEL": "x", "HOME": "/", "LOAN_BIND": ":1"})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_by_any_of_its_names(scheme):
    address = "user:p%40ss@host:5433/name?sslmode=require"
    config = Config.from_environment({"LOAN_DATABASE_URL": f"{scheme}://{address}"})
    assert config.database == f"postgresql+psycopg://{address}"


def test_sqlite_lies_in_the_instance(tmp_path):
    config = Config.from_environment({"LOAN_INSTANCE": str(tmp_path)})
    assert config.database == f"sqlite:///{tmp_path}/loan_desk.db"


def test_secret_is_made_once(tmp_path):
    config = Config.from_environment({"LOAN_INSTANCE": str(tmp_path / "new" / "instance")})
    secret = config.secret()
    assert len(secret) >= 64
    assert config.secret() == secret
    [file] = config.instance.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    another = Config.from_environment({"LOAN_INSTANCE": str(tmp_path)})
    assert another.secret() != secret


def test_instance_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    for folder in ("file", "file/below"):
        config = Config.from_environment({"LOAN_INSTANCE": str(tmp_path / folder)})
        with pytest.raises(InvalidSetting, match=r"^LOAN_INSTANCE: .*file.*: [^\n]+$"):
            config.secret()


def test_secret_given_is_not_written(tmp_path):
    given = {"LOAN_INSTANCE": str(tmp_path), "LOAN_SECRET_KEY": "x" * 32}
    assert Config.from_environment(given).secret() == "x" * 32
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("", 0o600, "shorter than 32 characters"),
        ("x", 0o600, "shorter than 32 characters"),
        ("x" * 31 + "\n", 0o600, "shorter than 32 characters"),
        ("x" * 64, 0o644, "others may read it. Run: chmod 600"),
        ("x" * 64, 0o640, "others may read it. Run: chmod 600"),
    ],
)
def test_secret_that_others_may_know_or_guess_is_refused(tmp_path, content, mode, words):
    file = tmp_path / "secret_key"
    file.write_text(content)
    file.chmod(mode)
    config = Config.from_environment({"LOAN_INSTANCE": str(tmp_path)})
    with pytest.raises(InvalidSetting) as raised:
        config.secret()
    assert str(raised.value).startswith(str(file))
    assert words in str(raised.value)


def test_secret_that_is_there_is_read_and_nothing_is_written(tmp_path, monkeypatch):
    config = Config.from_environment({"LOAN_INSTANCE": str(tmp_path)})
    secret = config.secret()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "touch", full)
    assert config.secret() == secret
    (tmp_path / "secret_key").unlink()
    with pytest.raises(InvalidSetting, match="No space left on device"):
        config.secret()


def test_secret_of_starts_at_once_is_the_same(tmp_path):
    config = Config.from_environment({"LOAN_INSTANCE": str(tmp_path)})
    start = Barrier(16)

    def first(_):
        start.wait(30)
        return config.secret()

    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(first, range(16)))
    assert len(secrets) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["secret_key"]


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
