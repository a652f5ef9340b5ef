"""Tests the table of the benchmark of the pages."""

from bench.pages import MAX_COLD_KB, Weighed, report


def test_report_marks_what_does_not_fit():
    light = Weighed("/decisions", "clerk", 50, 5, [9.0, 10.0, 31.0], 8.0)
    heavy = Weighed("/model", "analyst", MAX_COLD_KB + 1, 5, [9.0], 8.0)
    assert light.fits
    assert not heavy.fits
    text = report([light, heavy], ["1,000 decisions"])
    assert "1,000 decisions" in text
    assert "1 pages" not in text
    assert "| `/decisions` | clerk | 50 kB | 5.0 kB | 10.0 ms | 31.0 ms | 8 ms |" in text
    assert "| `/model` \\* | analyst | 101 kB |" in text
    assert "Every page needs less." in report([light], [])
