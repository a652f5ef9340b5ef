"""The machine's questions."""

import urllib.request


def test_readyz_on_both_databases(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"database": True, "bundle": True}


def test_served_by_two_workers(serve, database_url):
    with serve(database_url) as server, urllib.request.urlopen(f"{server.url}/healthz") as answer:
        assert answer.status == 200
