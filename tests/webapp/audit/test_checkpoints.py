"""Tests of the commands that sign checkpoints and verify the log against them."""

import re
import signal
from pathlib import Path

import pytest

from webapp.audit.checkpoints import files_in, first_with, parse, read_checkpoint, signing_key
from webapp.failures import InvalidSetting, NoteRefused

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@pytest.fixture
def checkpoint(run):
    """Sign a checkpoint and return its file."""

    def sign(*options):
        code, [line] = run("audit", "checkpoint", *options)
        assert code == 0, line
        return Path(line)

    return sign


@pytest.fixture
def change(query, config):
    """Change the log for good, as an administrator of the database could."""

    def forge(*statements):
        if config.database_url:
            query("; ".join(["SET session_replication_role = replica", *statements]))
            return
        for name, *_ in query("SELECT name FROM sqlite_schema WHERE tbl_name = 'audit_log'"):
            if name.startswith("audit_log_no"):
                query(f"DROP TRIGGER {name}")
        for statement in statements:
            query(statement)

    return forge


def test_checkpoint_is_a_signed_note_of_all_heads(log, checkpoint, run, query, config):
    file = checkpoint()
    text = file.read_text()
    assert re.fullmatch(
        rf"{config.instance}/checkpoints/\d{{8}}T\d{{6}}\.\d{{6}}Z\.note", str(file)
    )
    origin, moment, *heads, empty, signature = text.splitlines()
    assert (origin, empty) == ("loan-desk/audit", "")
    assert re.fullmatch(MOMENT, moment)
    lengths = query("SELECT lane, max(number) FROM audit_log GROUP BY lane ORDER BY lane")
    assert [tuple(map(int, head.split()[:2])) for head in heads] == lengths
    assert signature.startswith("— loan-desk/audit ")
    assert (config.instance / "audit_key").stat().st_mode & 0o777 == 0o600
    key = run("audit", "key")[1][0]
    assert re.fullmatch(r"loan-desk/audit\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", key)
    for options in ([], ["--key", key]):
        code, [line] = run("audit", "verify", "--checkpoint", file, *options)
        assert (code, line[-8:]) == (0, "all well")


def test_log_may_grow_after_a_checkpoint(log, checkpoint, run):
    first = checkpoint()
    run("users", "create", "another")
    second = checkpoint()
    assert first < second
    assert run("audit", "verify", "--checkpoint", first, "--checkpoint", second)[0] == 0


def test_log_that_was_truncated(log, checkpoint, run, query, change):
    file = checkpoint()
    moment = file.read_text().splitlines()[1]
    [(lane,)] = query("SELECT max(lane) FROM audit_log")
    change(f"DELETE FROM audit_log WHERE lane = {lane} AND number > 5")
    assert run("audit", "verify")[0] == 0
    code, [line, summary] = run("audit", "verify", "--checkpoint", file)
    assert code == 1
    assert re.fullmatch(
        rf"lane {lane}, entry 6: it is missing: the checkpoint of {moment} has entries up to \d+",
        line,
    )
    assert summary.endswith(": 1 bad lane")
    code, [line] = run("audit", "checkpoint")
    assert code == 1
    assert "is not the one in the checkpoint of" in line


@ON_SQLITE
def test_checkpoint_of_another_log_is_refused(log, checkpoint, run, config, tmp_path):
    file = checkpoint()
    text = file.read_text()
    other = tmp_path / "other.note"
    for changed in (text.replace("\n1 ", "\n2 "), "", text.replace("audit\n", "else\n"), "x\udcff"):
        other.write_bytes(changed.encode(errors="surrogateescape"))
        code, [line] = run("audit", "verify", "--checkpoint", other)
        assert code == 1
        assert line.startswith(f"Error: {other}: ")
    assert run("audit", "verify", "--checkpoint", tmp_path / "none")[1] == [
        f"Error: {tmp_path / 'none'}: No such file or directory"
    ]
    code, [line] = run("audit", "verify", "--checkpoint", file, "--key", "x+y+z")
    assert (code, line) == (1, "Error: --key: not a key of the form name+id+base64")
    (config.instance / "audit_key").unlink()
    code, [line] = run("audit", "verify", "--checkpoint", file)
    assert code == 1
    assert "there is no key yet" in line


@ON_SQLITE
def test_places_of_a_checkpoint(log, checkpoint, run, tmp_path):
    file = tmp_path / "kept.note"
    assert checkpoint("--out", file) == file
    code, [line] = run("audit", "checkpoint", "--out", file)
    assert (code, line) == (1, f"Error: {file}: it exists, and no checkpoint is overwritten")
    code, lines = run("audit", "checkpoint", "--out", "-")
    assert code == 0
    assert parse("\n".join(lines[:-2]) + "\n").heads
    folder = tmp_path / "kept"
    folder.mkdir()
    assert checkpoint("--out", folder).parent == folder
    assert not [f for f in tmp_path.rglob(".*") if f.name.startswith(".2")]
    code, [line] = run("audit", "checkpoint", "--out", tmp_path / "none" / "kept.note")
    assert (code, line) == (1, "Error: cannot write: No such file or directory")
    assert run("audit", "checkpoint", "--out", file, "--every", 1)[0] == 2


@ON_SQLITE
def test_key_that_others_can_read_or_that_is_none_is_refused(app, run, config):
    code, [key] = run("audit", "key")
    file = config.instance / "audit_key"
    assert run("audit", "key") == (code, [key])
    file.chmod(0o640)
    with pytest.raises(InvalidSetting, match="others may read it"):
        signing_key(config.instance)
    file.chmod(0o600)
    file.write_text("x" * 64)
    code, lines = run("audit", "key")
    assert (code, lines) == (2, [f"Error: {file}: not a key of the form name+id+base64"])


@ON_SQLITE
def test_checkpoints_are_found_by_what_they_cover(log, checkpoint, run, config):
    files = []
    for name in ("a", "b", "c"):
        run("users", "create", name)
        files.append(checkpoint())
    folder, key = config.instance / "checkpoints", signing_key(config.instance).verifier
    (folder / "notes.txt").touch()
    assert files_in(folder) == files
    heads = [read_checkpoint(file, key).heads[0] for file in files_in(folder)]
    for head, file in zip(heads, files, strict=True):
        assert first_with(folder, key, lane=1, number=head.number) == file
    assert first_with(folder, key, lane=1, number=heads[-1].number + 1) is None
    assert first_with(folder, key, lane=2, number=1) is None
    assert first_with(config.instance / "none", key, lane=1, number=1) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n", "loan-desk/audit\n", "loan-desk/audit\nnow\n", "another\n2026\n"),
        "loan-desk/audit\n2026-01-01T00:00:00.000000Z\n\n",
        "loan-desk/audit\n2026-01-01T00:00:00.000000Z\n1 0 " + "A" * 43 + "=\n",
        "loan-desk/audit\n2026-01-01T00:00:00.000000Z\n1 2 x\n",
        "loan-desk/audit\n2026-01-01T00:00:00.000000Z\n1 99999999999999999999 " + "A" * 43 + "=\n",
    ],
)
def test_text_that_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteRefused, match=r"^not a checkpoint$"):
        parse(text)


@ON_SQLITE
def test_checkpoints_on_a_schedule(migrated, forks, until, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    environment = {"LOAN_INSTANCE": str(migrated.instance), "LOAN_BUNDLE": str(migrated.bundle)}
    arguments = ["-m", "flask", "--app", "webapp", "audit", "checkpoint", "--every", "1"]
    files = {"out": tmp_path / "out", "err": tmp_path / "err"}
    started = forks.start([*arguments, "--out", str(folder)], environment, **files)
    until(lambda: len(files_in(folder)) == 1)
    user = ["-m", "flask", "--app", "webapp", "users", "create", "another"]
    assert forks.run(user, environment).returncode == 0
    until(lambda: len(files_in(folder)) == 2)
    started.send_signal(signal.SIGTERM)
    assert started.wait(30) == 0
    assert files["out"].read_text().splitlines() == list(map(str, files_in(folder)))
    assert files["err"].read_text() == ""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_role_of_the_service_is_enough(log, service_s_own, another_app):
    with another_app(database_url=service_s_own) as app:
        for arguments in (["checkpoint"], ["verify", "--contents"], ["prove", str(log[0])]):
            done = app.test_cli_runner().invoke(args=["audit", *arguments])
            assert (done.exit_code, done.stderr) == (0, "")
