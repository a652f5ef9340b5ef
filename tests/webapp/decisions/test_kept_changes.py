"""Tests of the changes that a worker keeps."""

from ml.explaining.counterfactual import Changes
from webapp.decisions.kept_changes import KeptChanges


def test_changes_are_searched_once_and_the_last_ones_are_kept():
    kept, searched = KeptChanges(limit=2), []

    def find(digest):
        def search():
            searched.append(digest)
            return Changes([], {digest.decode(): (1, 2)})

        return kept.find(digest, search)

    for digest in (b"a", b"b", b"a", b"c", b"a", b"b"):
        assert find(digest).searched == {digest.decode(): (1, 2)}
    assert searched == [b"a", b"b", b"c", b"b"]  # b had been asked for before a and c
