"""Tests the figures, the tables, the chart and where they are written."""

import pytest

from bench.chart import draw_rates
from bench.compared import DESK_SQLITE, ECHO
from bench.figures import Figure, figures, rate
from bench.load import Load
from bench.measure import Alone, Measurement, Start, Timed
from bench.report import disturbed, servers_table, targets_table, write_section


def measured(server, *, requests, p99_ms=20.0, foreign_cores=0.0, memory_mib=150.0):
    load = Load(requests, 10.0, 5.0, p99_ms, 50.0, failed=0, unexpected=0, broken=0)
    timed = Timed(foreign_cores, load, cpu_seconds=1.0)
    return Measurement(server, Alone(Start(foreign_cores, 1.0), memory_mib), timed, timed)


def a_round(desk, echo, **of_the_desk):
    return {
        DESK_SQLITE: measured(DESK_SQLITE, requests=desk, **of_the_desk),
        ECHO: measured(ECHO, requests=echo, p99_ms=10.0),
    }


ROUNDS = [a_round(7_000, 10_000), a_round(8_000, 10_000), a_round(18_000, 20_000)]


def test_ratio_is_that_of_each_round():
    row = targets_table(ROUNDS).splitlines()[2]
    assert row.endswith("| ≥ 0.6 × | ≥ 1 × | 0.80 (0.70 to 0.90) × | required |")


def test_disturbed_rounds_count_only_if_there_are_no_others():
    other = a_round(1, 10_000, foreign_cores=0.5)
    assert targets_table([*ROUNDS, other]) == targets_table(ROUNDS)
    assert servers_table([*ROUNDS, other]).splitlines()[3] == servers_table(ROUNDS).splitlines()[3]
    rate_row, p99_row, memory_row, start_row = targets_table([other]).splitlines()[2:]
    assert all(row.endswith("| disturbed |") for row in (rate_row, p99_row, start_row))
    assert memory_row.endswith("| required |")
    assert "| 0 \\* | 5.0 ms \\* |" in servers_table([other])


def test_figures_without_their_servers_are_left_out():
    assert len(targets_table(ROUNDS).splitlines()) == 2 + 4
    assert targets_table([]).count("\n") == 1


@pytest.mark.parametrize(
    ("more_is_better", "value", "reached"),
    [
        (True, 0.59, "no"),
        (True, 0.6, "required"),
        (True, 1.0, "goal"),
        (False, 0.6, "goal"),
        (False, 1.0, "goal"),
        (False, 1.1, "no"),
    ],
)
def test_reached(more_is_better, value, reached):
    required = 0.6 if more_is_better else 1.0
    figure = Figure("", rate, ECHO, required, 1.0, more_is_better=more_is_better)
    assert figure.reached(value) == reached


def test_each_figure_requires_less_than_its_goal():
    for figure in figures():
        assert (figure.required < figure.goal) == figure.more_is_better, figure.text


def test_table_has_medians_and_ranges():
    rows = servers_table(ROUNDS).splitlines()
    assert len(rows) == 4
    assert rows[3].startswith("| Loan Desk, SQLite | 800 (700 to 1,800) | 5.0 ms | 20.0 ms | ")
    assert rows[3].endswith("| 150 MiB | 1.00 s |")


def test_disturbed_measurements_are_counted():
    assert disturbed(ROUNDS).startswith("Other processes never used more")
    rounds = [*ROUNDS, a_round(7_000, 10_000, foreign_cores=0.5)]
    assert disturbed(rounds).startswith("In 2 of 16 measurements,")
    assert "0.5 at the most" in disturbed(rounds)


def test_section_is_replaced_between_its_comments_only(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter\n")
    for text in ("first", "second"):
        write_section(page, "a", text)
    wanted = "before\n<!-- a: begin -->\n\nsecond\n\n<!-- a: end -->\nafter\n"
    assert page.read_text() == wanted
    with pytest.raises(ValueError, match="once each"):
        write_section(page, "b", "text")


def test_chart_is_small_and_has_text(tmp_path):
    file = tmp_path / "rates.svg"
    draw_rates(ROUNDS, file)
    content = file.read_text()
    assert "Loan Desk, SQLite" in content
    assert len(content) < 30_000
