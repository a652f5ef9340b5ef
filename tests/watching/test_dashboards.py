"""Tests of the rules that every dashboard and panel follows."""

import re
from itertools import combinations

import pytest

COLUMNS = 24
SCHEMA = 41
MACROS = {
    *("__timeFilter", "__timeFrom", "__timeTo", "__timeGroupAlias"),
    *("__interval", "__range", "__rate_interval"),
}
OUTCOMES = ("granted", "refused", "referred")
# Bookmarks and links hold these.
UIDS = {
    "Decisions": "loan-decisions",
    "Fairness": "loan-fairness",
    "Is the model well?": "loan-model-well",
    "Model": "loan-model",
    "Reviews": "loan-reviews",
    "Service": "loan-service",
}
TITLE = re.compile(r"[A-Z0-9][^.:;]{3,60}")
MEASURES = ("locale", "percentunit", "s")  # units of numbers, which need a number of decimals


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
    assert {d["title"]: d["uid"] for d in dashboards} == UIDS
    assert len(dashboards) == len(UIDS)
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


def test_panels_have_a_title_a_description_a_unit_and_a_word_for_nothing(panels):
    for where, panel in panels:
        assert TITLE.fullmatch(panel["title"]), where
        assert len(panel["description"].split()) > 8, where
        assert panel["description"].endswith((".", "?")), where
        shown = panel["fieldConfig"]["defaults"]
        assert shown["unit"], where
        assert shown["noValue"], where
        assert "decimals" in shown or shown["unit"] not in MEASURES, where
        assert ("decimals" in shown) <= (not shown["mappings"]), where  # words have none


def test_dashboards_have_a_time_range_and_say_when_a_model_was_put_into_service(dashboards):
    for dashboard in dashboards:
        assert dashboard["time"]["to"] == "now"
        assert dashboard["refresh"]
        names = [a["name"] for a in dashboard["annotations"]["list"]]
        assert names == ["Annotations & Alerts", "Model put into service"]


def test_every_dashboard_is_reached_from_every_other_one(dashboards):
    for dashboard in dashboards:
        [link] = dashboard["links"]
        assert (link["type"], link["tags"]) == ("dashboards", dashboard["tags"])
        assert link["keepTime"] is link["includeVars"] is True
    assert {tuple(d["tags"]) for d in dashboards} == {("loan-desk",)}


def test_links_of_panels_lead_to_dashboards_and_to_pages(panels, app, compose, dashboards):
    links = [link["url"] for _, panel in panels for link in panel.get("links", [])]
    links += [
        link["url"]
        for _, panel in panels
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "links"
        for link in prop["value"]
    ]
    assert len(links) > 5
    to_dashboards = {url.removeprefix("/d/") for url in links if url.startswith("/d/")}
    assert to_dashboards <= set(UIDS.values())
    [page] = [url for url in links if not url.startswith("/d/")]
    page = page.replace("${desk}", "").replace("${__value.raw}", "7")
    assert app.url_map.bind("").match(page) == ("decisions.show", {"number": 7})
    [desk] = [v for d in dashboards for v in d["templating"]["list"] if v["name"] == "desk"]
    port = re.search(r":-(\d+)\}", compose["services"]["proxy"]["ports"][0])[1]
    assert desk["query"] == desk["current"]["value"] == f"http://localhost:{port}"
    assert desk["skipUrlSync"] is True  # so that no link can lead to another host


def test_panels_use_the_provisioned_data_sources(panels, dashboards, datasources):
    variables = [v for d in dashboards for v in d["templating"]["list"] if v["type"] == "query"]
    annotations = [a["target"] for d in dashboards for a in d["annotations"]["list"][1:]]
    readers = [p for _, p in panels] + [t for _, p in panels for t in p["targets"]]
    readers += variables + annotations
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
            for override in panel.get("fieldConfig", {}).get("overrides", []):
                used |= variables(str(override["properties"]).replace("${__value.raw}", ""))
        assert used - MACROS == defined  # so every variable is used too


def test_variables_offer_all(dashboards):
    for dashboard in dashboards:
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                assert variable["multi"] is variable["includeAll"] is True
                assert variable["allValue"]
                assert variable["current"] == {"text": ["All"], "value": ["$__all"]}


def test_queries_of_a_panel_have_unique_letters(panels):
    for where, panel in panels:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0, where


def test_time_series_query_over_time_and_other_panels_tables(queries):
    for panel, target in queries:
        if "rawSql" in target:
            over_time = panel["type"] in ("timeseries", "status-history")
            assert target["format"] == ("time_series" if over_time else "table"), panel["title"]
            timed = "$__timeGroupAlias" in target["rawSql"] or " AS time," in target["rawSql"]
            assert timed == over_time, panel["title"]


def test_a_decision_has_one_colour_everywhere(panels):
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
    assert [len(used) for used in colours.values()] == [1, 1, 1]
    assert len(set().union(*colours.values())) == len(OUTCOMES)
