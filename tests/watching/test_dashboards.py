"""Tests of the rules that every dashboard and panel follows."""

import re
from itertools import combinations

import pytest

COLUMNS = 24
SCHEMA = 41
MACROS = {"__timeFilter", "__timeGroupAlias", "__interval", "__rate_interval"}
OUTCOMES = ("granted", "refused")


@pytest.fixture(scope="session")
def panels(dashboards):
    """Every panel except row headings, with the titles of its dashboard and of itself."""
    return [
        (f"{d['title']}: {p['title']}", p)
        for d in dashboards
        for p in d["panels"]
        if p["type"] != "row"
    ]


def test_dashboards_have_an_identity_and_follow_the_viewer(dashboards):
    assert (
        len({d["uid"] for d in dashboards})
        == len({d["title"] for d in dashboards})
        == len(dashboards)
    )
    for dashboard in dashboards:
        assert dashboard["id"] is None
        assert dashboard["schemaVersion"] == SCHEMA
        assert dashboard["timezone"] == "browser"
        assert dashboard["editable"] is False
        assert dashboard["description"]


def test_panels_have_unique_ids(dashboards):
    for dashboard in dashboards:
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)


def test_panels_fit_the_grid_and_do_not_overlap(dashboards):
    for dashboard in dashboards:
        places = {panel["title"]: panel["gridPos"] for panel in dashboard["panels"]}
        assert len(places) == len(dashboard["panels"])
        for title, p in places.items():
            assert min(p["x"], p["y"], p["w"] - 1, p["h"] - 1) >= 0, title
            assert p["x"] + p["w"] <= COLUMNS, title
        for (a, p), (b, q) in combinations(places.items(), 2):
            beside = p["x"] + p["w"] <= q["x"] or q["x"] + q["w"] <= p["x"]
            above = p["y"] + p["h"] <= q["y"] or q["y"] + q["h"] <= p["y"]
            assert beside or above, f"{a} and {b}"


def test_panels_have_a_description_and_a_unit(panels):
    for where, panel in panels:
        assert len(panel["description"].split()) > 8, where
        assert panel["fieldConfig"]["defaults"]["unit"], where


def test_panels_use_the_provisioned_data_sources(panels, dashboards, datasources):
    variables = [v for d in dashboards for v in d["templating"]["list"]]
    readers = [p for _, p in panels] + [t for _, p in panels for t in p["targets"]] + variables
    for reader in readers:
        source = reader["datasource"]
        assert datasources[source["uid"]]["type"] == source["type"]


def test_queries_use_exactly_the_defined_variables(dashboards, variables):
    for dashboard in dashboards:
        defined = {variable["name"] for variable in dashboard["templating"]["list"]}
        used: set[str] = set()
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                used |= variables(target.get("rawSql", "") + target.get("expr", ""))
        assert used - MACROS == defined  # so every variable is used too


def test_queries_of_a_panel_have_unique_letters(panels):
    for where, panel in panels:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0, where


def test_time_series_query_over_time_and_other_panels_tables(queries):
    for panel, target in queries:
        if "rawSql" in target:
            over_time = panel["type"] == "timeseries"
            assert target["format"] == ("time_series" if over_time else "table"), panel["title"]
            assert ("$__timeGroupAlias" in target["rawSql"]) == over_time, panel["title"]


def test_granted_and_refused_look_the_same_everywhere(panels):
    colours: dict[str, set[str]] = {outcome: set() for outcome in OUTCOMES}
    for where, panel in panels:
        columns = set(
            re.findall(r"\bAS (\w+)", " ".join(t.get("rawSql", "") for t in panel["targets"]))
        )
        fixed = {
            o["matcher"]["options"]: p["value"]["fixedColor"]
            for o in panel["fieldConfig"]["overrides"]
            for p in o["properties"]
            if p["id"] == "color"
        }
        for outcome in columns & set(OUTCOMES):
            alone = panel["fieldConfig"]["defaults"]["color"].get("fixedColor")
            assert outcome in fixed or alone, where
            colours[outcome].add(fixed.get(outcome) or alone)
    assert [len(used) for used in colours.values()] == [1, 1]
    assert colours["granted"] != colours["refused"]
