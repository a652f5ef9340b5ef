"""Tests of signed notes, also against the example of Go's golang.org/x/mod/sumdb/note."""

import pytest

from webapp.audit.notes import (
    SigningKey,
    opened,
    read_signing_key,
    read_verifier_key,
)
from webapp.failures import NoteRefused

SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngot"
    "pRZb6KE6RyyBwJnAM=\n"
)
OTHER = SigningKey("EnochRoot", bytes(32))


def test_note_is_that_of_the_reference():
    key = read_signing_key(SECRET)
    assert str(key.verifier) == KEY
    assert key.sign(TEXT) == f"{TEXT}\n{SIGNATURE}"
    assert key.secret() == SECRET


def test_signed_text_is_returned():
    key = read_verifier_key(KEY)
    assert opened(f"{TEXT}\n{SIGNATURE}", key) == TEXT
    with_another = f"{OTHER.sign(TEXT)}{SIGNATURE}"
    assert opened(with_another, key) == opened(with_another, OTHER.verifier) == TEXT


def test_note_that_was_changed_is_refused():
    key = read_verifier_key(KEY)
    note = f"{TEXT}\n{SIGNATURE}"
    for place in range(0, len(note), 3):
        changed = note[:place] + chr(ord(note[place]) ^ 1) + note[place + 1 :]
        with pytest.raises(NoteRefused):
            opened(changed, key)
    for refused in (
        *("", "\n", "\n\n", TEXT, SIGNATURE, note[:-1], f"x{note}", f"{note}x", f"{note}\n"),
        note.replace("— ", "- "),
        note.replace("\n\n", "\n\nx\n\n"),
        OTHER.sign(TEXT),
        f"{TEXT}\n— PeterNeumann x08go/Y=\n",
    ):
        with pytest.raises(NoteRefused):
            opened(refused, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "+",
        "a+b+c",
        KEY[:-4],
        KEY.replace("c7", "c8"),
        KEY.replace("+ARpc", "+ARpd"),
        SECRET,
    ],
)
def test_key_that_is_none_is_refused(text):
    with pytest.raises(NoteRefused):
        read_verifier_key(text)
    with pytest.raises(NoteRefused):
        read_signing_key(text if text != SECRET else KEY)
