"""Tests of ml/product/formats.py."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ml.product.formats import (
    decimal,
    format_integer,
    long_day,
    moment,
    month,
    parse_amount,
    parse_integer,
    percent,
    plural_form,
    short,
    signed,
)
from ml.product.texts import LANGUAGES


@pytest.mark.parametrize(
    ("number", "places", "english", "french"),
    [
        (0.84187, 3, "0.842", "0,842"),
        (-0.0021, 3, "−0.002", "−0,002"),
        (-0.0001, 3, "0.000", "0,000"),
        (12345.6, 1, "12,345.6", "12\u202f345,6"),
        (197.4, 0, "197", "197"),
        (0.2075, 3, "0.208", "0,208"),  # as it is written, not as it is stored
    ],
)
def test_decimal(number, places, english, french):
    assert decimal(number, "en", places=places) == english
    assert decimal(number, "fr", places=places) == french


@pytest.mark.parametrize(
    ("number", "english", "french"),
    [
        (1.234, "+1.23", "+1,23"),
        (-1.236, "−1.24", "−1,24"),
        (0.0, "+0.00", "+0,00"),
        (-0.0, "+0.00", "+0,00"),
        (-0.004, "+0.00", "+0,00"),
        (-0.006, "−0.01", "−0,01"),
        (-1234.5, "−1,234.50", "−1\u202f234,50"),
    ],
)
def test_signed_always_says_which_side_of_zero(number, english, french):
    assert signed(number, "en") == english
    assert signed(number, "fr") == french


def test_percent():
    assert percent(0.7186, "en") == "71.9%"
    assert percent(12.5, "en", places=0) == "1,250%"
    assert percent(-0.0001, "en") == "0.0%"
    assert percent(-0.25, "fr") == "−25,0\u00a0%"
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
        (123456.7, 4, "123,500", "123\u202f500"),
        (-0.00001, 4, "−0.00001", "−0,00001"),
    ],
)
def test_short(number, digits, english, french):
    assert short(number, "en", digits=digits) == english
    assert short(number, "fr", digits=digits) == french


def test_moment_is_shown_in_a_zone():
    when = datetime(2026, 8, 4, 22, 4, 5, tzinfo=UTC)
    assert moment(when, "en", zone=ZoneInfo("Europe/Paris")) == "5 Aug 2026, 00:04:05"
    assert moment(when, "fr", zone=UTC) == "4 août 2026, 22:04:05"


def test_integer():
    assert format_integer(-12345, "en") == "−12,345"
    assert format_integer(1234, "fr") == "1\u202f234"


@pytest.mark.parametrize(
    ("number", "english", "french"),
    [(0, "other", "one"), (1, "one", "one"), (2, "other", "other"), (24, "other", "other")],
)
def test_plural_form(number, english, french):
    assert plural_form(number, "en") == english
    assert plural_form(number, "fr") == french


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12000", 12000),
        ("12 000", 12000),
        ("12,000", 12000),
        ("12'000", 12000),
        ("12’000", 12000),
        ("12\u00a0000", 12000),
        ("12\u2009000", 12000),
        ("12\u202f000", 12000),
        ("1,234,567", 1234567),
        ("  7 ", 7),
        ("0", 0),
        ("007", 7),
        ("+5", 5),
        ("-5", -5),
        ("-1 000", -1000),
        ("−1 000", -1000),
        ("9" * 18, int("9" * 18)),
        ("", None),
        (" ", None),
        ("12.0", None),
        ("12,5", None),
        ("12,00", None),
        ("1,2345", None),
        ("1234,567", None),
        ("1 234,567", None),
        ("1,234 567", None),
        ("12,000.50", None),
        (",000", None),
        ("12,", None),
        ("1  000", None),
        ("1e3", None),
        ("0x10", None),
        ("1_000", None),
        ("١٢", None),
        ("１２", None),
        ("²", None),
        ("--5", None),
        ("+ 5", None),
        ("5-", None),
        ("nan", None),
        ("inf", None),
        ("true", None),
        ("12\n000", None),
        ("\ud800", None),
        ("9" * 19, None),
        ("9" * 100_000, None),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_parse_integer(text, number):
    assert parse_integer(text) == number


@pytest.mark.parametrize("number", [0, 7, -7, 999, 1000, -12_345, 2_000_000, 10**15])
@pytest.mark.parametrize("language", LANGUAGES)
def test_parse_integer_reads_what_format_integer_writes(number, language):
    assert parse_integer(format_integer(number, language)) == number


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1 234,50", (1235, True)),
        ("1,234.50", (1235, True)),
        ("1\u202f234,49", (1234, True)),
        ("1234.00", (1234, False)),
        ("0,50", (1, True)),
        ("−0,49", (0, True)),
        ("-1 000,50", (-1001, True)),
        ("+2,75", (3, True)),
        (" 12 000 ", (12000, False)),
        ("9" * 18 + ".99", (10**18, True)),
        ("1,234,50", None),
        ("1.234,50", None),
        ("1 234,5", None),
        ("1 234,567", None),
        (",50", None),
        ("12,-5", None),
        ("1e3.00", None),
        ("١٢,50", None),
        ("", None),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_parse_amount(text, amount):
    assert parse_amount(text) == amount


def test_month_is_named_in_each_language():
    assert month(date(2026, 11, 3), "en") == "Nov 2026"
    assert month(date(2026, 11, 3), "fr") == "nov. 2026"


def test_long_day():
    assert [long_day(date(2026, 11, 27), language) for language in ("en", "fr")] == [
        "27 November 2026",
        "27 novembre 2026",
    ]
    assert long_day(date(2026, 3, 1), "fr") == "1er mars 2026"
    assert long_day(date(2026, 3, 1), "fr", american=True) == "1er mars 2026"
    assert long_day(date(2026, 3, 1), "en", american=True) == "March 1, 2026"
    assert long_day(date(2026, 3, 21), "fr") == "21 mars 2026"
