"""Tests that the commands of both READMEs run, in a copy of the checkout with its environment.

Three kinds of commands do not run here: `make test`, which would run itself; commands of Docker,
whose files are checked; and `ml train`, which tests/project/conftest.py runs.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError

import pytest
import yaml

from tests.fixtures.machine import need

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.fr.md")
OWN = ((r"my_product|mon_produit", "house_loan"), (r"my_rows|mes_lignes", "house_rows"))
SERVED = "127.0.0.1:5000"  # as the READMEs say


def commands(text):
    """Return the commands in the shell blocks of a text, each with its lines joined."""
    complete_commands = []
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        command = ""
        for line in block.splitlines():
            command += line
            try:
                complete = bool(shlex.split(command, comments=True)) and command[-1] != "\\"
            except ValueError:  # a quotation over several lines
                complete = False
            if complete:
                complete_commands.append(command)
            command = "" if complete else f"{command}\n"
        assert not command, command
    return complete_commands


def under_our_names(command):
    """Return the words of a command, without its comment and with the test product's names."""
    for theirs, ours in OWN:
        command = re.sub(theirs, ours, command)
    return tuple(shlex.split(command, comments=True))


EVERY = {under_our_names(c): c for name in READMES for c in commands((ROOT / name).read_text())}
BUILT = ("docker",)
KEPT = "loan-desk:/app/instance"  # a named volume
TRAINED = (".venv/bin/python", "-m", "ml", "train")
SERVES = {("make", "run"), ("LOAN_BUNDLE=models/house_loan", "make", "run")}
ITSELF = ("make", "test")
PASSWORDS = ("make", ".env")
CLONED = ("git", "clone", "REPOSITORY", "loan-desk", "&&", "cd", "loan-desk")


def begin(*starts):
    """Return the commands that begin with these words."""
    return {w: c for w, c in EVERY.items() if w[: len(starts)] == starts}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, bundle, house):
    """A copy of the tracked files, with the environment and with trained models."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("requirements.lock", "requirements-dev.lock"):
        os.utime(folder / name, (0, 0))  # older than what was installed
    shutil.copytree(bundle.directory, folder / "models/consumer_credit")
    shutil.copytree(house.directory, folder / "models/house_loan")
    return folder


@pytest.fixture(scope="module")
def environment():
    """The environment, with a free port as the only setting."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LOAN_", "PROMETHEUS_"))}
    return {**inherited, "LOAN_BIND": place}


@contextmanager
def served(command, checkout, environment):
    """Run a command that serves until the block ends; yield its log."""
    log = checkout / "served.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=checkout,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            with (
                suppress(URLError, TimeoutError),
                urllib.request.urlopen(f"http://{environment['LOAN_BIND']}/readyz", timeout=5),
            ):
                break
            with suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"{process.wait(0.1)}: {log.read_text()}")
        yield log
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def run(command, checkout, environment):
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-ec", command.replace(SERVED, environment["LOAN_BIND"])],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def test_readmes_have_the_same_commands():
    english, french = (
        {under_our_names(c)[:4] for c in commands((ROOT / name).read_text())} for name in READMES
    )
    assert english == french
    assert len(english) > 10


def test_service_starts_and_answers_as_the_readmes_say(checkout, environment):
    need("curl", "apt-get install curl")
    [key] = [c for w, c in EVERY.items() if w[0].startswith("KEY=")]
    asked = begin("curl")
    beside = [c for w, c in EVERY.items() if w[0].startswith(".venv/") and w[:4] != TRAINED]
    assert len(asked) == 2
    assert len(beside) == 6
    with served("make run", checkout, environment) as log:
        assert f"http://{environment['LOAN_BIND']}" in log.read_text()
        assert "sign in as admin with the password" in log.read_text()
        both = "\n".join([key, *asked.values()])
        answers = run(both, checkout, environment)
        # Not at the start of a line: no line break ends the body before.
        assert re.findall(r"HTTP/1.1 (\d+)", answers) == ["201", "201"]
        for command in beside:
            assert run(command, checkout, environment).strip(), command


def test_service_of_an_own_product_starts(checkout, environment, house):
    [words] = [w for w in EVERY if w[0].startswith("LOAN_BUNDLE")]
    with (
        served(" ".join(words), checkout, environment),
        urllib.request.urlopen(f"http://{environment['LOAN_BIND']}/metrics", timeout=30) as answer,
    ):
        assert f'model="{house.version}"' in answer.read().decode()


def test_clone_contains_the_makefile(tmp_path):
    command = EVERY[CLONED].replace("REPOSITORY", shlex.quote(str(ROOT)))
    subprocess.run(
        ["bash", "-ec", f"{command} && test -f Makefile"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=60,
    )


def test_training_command_is_the_one_that_was_run(brought):
    [words] = begin(*TRAINED)
    text = (ROOT / "docs/bring-your-own.md").read_text()
    assert words in {under_our_names(c) for c in commands(text)}


def test_docker_s_commands_have_their_files(checkout, environment):
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    image = compose["services"]["web"]["image"]
    assert set(begin(*BUILT)) == {
        ("docker", "build", "-t", image, "."),
        (*shlex.split("docker run -p 5000:5000 -it --rm --name loan-desk -v"), KEPT, image),
        tuple(shlex.split("docker exec loan-desk flask --app webapp users set-password admin")),
        ("docker", "compose", "up", "-d"),
        ("docker", "compose", "logs", "prepare"),
        tuple(shlex.split("docker compose exec web flask --app webapp users set-password admin")),
    }
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "EXPOSE 5000" in dockerfile
    assert f"VOLUME {KEPT.partition(':')[2]}" in dockerfile
    copied = re.findall(r"^COPY (?!--from)(\S+) ", dockerfile, flags=re.M)
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    run(EVERY[PASSWORDS], checkout, environment)
    assert (checkout / ".env").is_file()


def test_every_command_is_covered():
    [key] = [w for w in EVERY if w[0].startswith("KEY=")]
    beside = {w for w in EVERY if w[0].startswith(".venv/")}
    once = {key, ITSELF, CLONED, PASSWORDS}
    assert set(EVERY) == once | SERVES | set(begin(*BUILT)) | set(begin("curl")) | beside
