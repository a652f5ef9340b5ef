"""The secret key that an instance makes and keeps."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from webapp.config import Config
from webapp.failures import InvalidSetting


def test_secret_is_made_once(tmp_path):
    config = Config(instance=tmp_path / "new" / "instance")
    secret = config.secret()
    assert len(secret) >= 64
    assert config.secret() == secret
    [file] = config.instance.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    another = Config(instance=tmp_path)
    assert another.secret() != secret


def test_instance_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    for folder in ("file", "file/below"):
        config = Config(instance=tmp_path / folder)
        with pytest.raises(InvalidSetting, match=r"^LOAN_INSTANCE: .*file.*: [^\n]+$"):
            config.secret()


def test_secret_given_is_not_written(tmp_path):
    assert Config(instance=tmp_path, secret_key="x" * 32).secret() == "x" * 32
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
    config = Config(instance=tmp_path)
    with pytest.raises(InvalidSetting) as raised:
        config.secret()
    assert str(raised.value).startswith(str(file))
    assert words in str(raised.value)


def test_secret_that_is_there_is_read_and_nothing_is_written(tmp_path, monkeypatch):
    config = Config(instance=tmp_path)
    secret = config.secret()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "touch", full)
    assert config.secret() == secret
    (tmp_path / "secret_key").unlink()
    with pytest.raises(InvalidSetting, match="No space left on device"):
        config.secret()


def test_secret_of_starts_at_once_is_the_same(tmp_path):
    config = Config(instance=tmp_path)
    start = Barrier(16)

    def first(_):
        start.wait(30)
        return config.secret()

    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(first, range(16)))
    assert len(secrets) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["secret_key"]
