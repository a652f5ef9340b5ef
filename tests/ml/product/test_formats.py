"""What ml/product/formats.py promises."""

import pytest

from ml.product.formats import decimal, percent, short


@pytest.mark.parametrize(
    ("number", "places", "english", "french"),
    [
        (0.84187, 3, "0.842", "0,842"),
        (-0.0021, 3, "−0.002", "−0,002"),
        (-0.0001, 3, "0.000", "0,000"),
        (12345.6, 1, "12,345.6", "12\u202f345,6"),
        (197.4, 0, "197", "197"),
    ],
)
def test_decimal(number, places, english, french):
    assert decimal(number, "en", places=places) == english
    assert decimal(number, "fr", places=places) == french


def test_percent():
    assert percent(0.7186, "en") == "71.9%"
    assert percent(0.7186, "fr") == "71,9\u00a0%"
    assert percent(1, "fr", places=0) == "100\u00a0%"


@pytest.mark.parametrize(
    ("number", "digits", "english", "french"),
    [
        (0.5, 4, "0.5", "0,5"),
        (1.0, 4, "1", "1"),
        (10 / 11, 4, "0.9091", "0,9091"),
        (3 * 0.1, 10, "0.3", "0,3"),
        (20000.0, 10, "20,000", "20\u202f000"),
    ],
)
def test_short(number, digits, english, french):
    assert short(number, "en", digits=digits) == english
    assert short(number, "fr", digits=digits) == french
