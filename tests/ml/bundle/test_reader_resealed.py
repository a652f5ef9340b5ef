"""Tests of ml/bundle/reader.py: files with valid hashes but invalid content."""

import json
import pickle

import numpy as np
import pytest

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CHAMPION,
    NOVELTY,
    PRODUCT,
    BundleTampered,
    challenger_files,
)
from ml.bundle.reader import read_bundle
from tests.ml.bundle.damage import Touches, arrays_of, npy, npz, put, refused, state, verify

CHALLENGER = challenger_files("svc_rbf")


ARRAY_FILES = {
    "empty": lambda _: b"",
    "no archive": lambda _: b"not an archive",
    "cut": lambda content: content[: len(content) // 2],
    "one array": lambda _: npy(np.zeros(3)),
    "pickled objects": lambda _: npz(layout=np.array([{"a": 1}], dtype=object)),
    "a pickle": lambda _: pickle.dumps({"layout": "{}"}),
    "no layout": lambda _: npz(weights=np.zeros(3)),
    "layout no JSON": lambda _: npz(layout=np.array("{")),
    "layout empty": lambda _: npz(layout=np.array("{}")),
}


@pytest.mark.parametrize("case", ARRAY_FILES)
def test_read_resealed_arrays(copy, case):
    put(copy, ARRAYS, ARRAY_FILES[case]((copy / ARRAYS).read_bytes()))
    assert refused(copy, BundleTampered).startswith(str(copy / ARRAYS))


@pytest.mark.parametrize("case", ARRAY_FILES)
def test_read_resealed_arrays_of_a_challenger(copy, case):
    name = CHALLENGER[1]
    put(copy, name, ARRAY_FILES[case]((copy / name).read_bytes()))
    refused(copy, BundleTampered)


NOVELTY_FILES = {
    **{case: ARRAY_FILES[case] for case in ("empty", "no archive", "cut", "one array", "a pickle")},
    "no rows": lambda _: npz(limit=1.0),
    "no limit": lambda content: npz(rows=arrays_of(content)["rows"]),
    "rows of another width": lambda content: npz(
        **arrays_of(content) | {"rows": arrays_of(content)["rows"][:, 1:]}
    ),
    "one row flat": lambda content: npz(
        **arrays_of(content) | {"rows": arrays_of(content)["rows"][0]}
    ),
    "not a single row": lambda content: npz(
        **arrays_of(content) | {"rows": arrays_of(content)["rows"][:0]}
    ),
    "rows of words": lambda _: npz(rows=np.array([["a"]]), limit=1.0),
    "pickled rows": lambda _: npz(rows=np.array([[{}]], dtype=object), limit=1.0),
    "limit of words": lambda content: npz(**arrays_of(content) | {"limit": "far"}),
    "limit of zero": lambda content: npz(**arrays_of(content) | {"limit": 0.0}),
    "no usual values": lambda content: npz(rows=arrays_of(content)["rows"], limit=1.0),
    "usual values of words": lambda content: npz(**arrays_of(content) | {"lowest": ["a"]}),
}


@pytest.mark.parametrize("case", NOVELTY_FILES)
def test_read_resealed_novelty_rows(copy, case):
    put(copy, NOVELTY, NOVELTY_FILES[case]((copy / NOVELTY).read_bytes()))
    assert refused(copy, BundleTampered).startswith(str(copy / NOVELTY))


@pytest.mark.parametrize("content", [b"", b"name =", b"\xff\xfe", b'name = "bank"'])
def test_read_resealed_product(copy, content):
    put(copy, PRODUCT, content)
    assert refused(copy, BundleTampered).startswith(str(copy / PRODUCT))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null", b"[1]", b"[{}]", b"\xff"])
def test_read_resealed_background(copy, content):
    put(copy, BACKGROUND, content)
    assert refused(copy, BundleTampered).startswith(str(copy / BACKGROUND))


def test_read_resealed_background_with_a_word_for_a_number(copy):
    background = json.loads((copy / BACKGROUND).read_bytes())
    background[3]["loan_amount"] = "much"
    put(copy, BACKGROUND, json.dumps(background).encode())
    assert refused(copy, BundleTampered).startswith(str(copy / BACKGROUND))


def test_read_other_kind_of_scorer(copy):
    state(copy, scorer="rbf")
    assert refused(copy, BundleTampered).endswith(
        "the scorer is of kind linear, but the manifest says rbf"
    )


def test_read_malicious_pickle_is_never_executed(copy, tmp_path):
    trace = tmp_path / "executed"
    malicious = pickle.dumps(Touches(trace))
    for name in (CHAMPION, *CHALLENGER, ARRAYS, NOVELTY):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(malicious)
        refused(copy, BundleTampered)
        (copy / name).write_bytes(content)
    (copy / CHAMPION).write_bytes(malicious)
    code, _, errors = verify(copy)
    assert (code, len(errors)) == (2, 1)
    assert not trace.exists()
    pickle.loads(malicious)
    assert trace.exists()  # so it would have shown


def test_read_what_has_an_array_form_is_not_unpickled(copy, tmp_path):
    trace = tmp_path / "executed"
    for name in (CHAMPION, CHALLENGER[0]):
        put(copy, name, pickle.dumps(Touches(trace)))
    read = read_bundle(copy)
    assert read.scorer.kind == "linear"
    assert read.challenger("svc_rbf").kind == "rbf"
    assert not trace.exists()
