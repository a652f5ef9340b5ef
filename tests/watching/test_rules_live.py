"""A test of all rules by a real Prometheus that scrapes a healthy service."""

import json
import urllib.request

from ml.product.samples import examples

RECORDED = ("loan:request_seconds:p95_5m", "loan:error_budget:remaining30d", "loan:decisions:count")


def test_every_rule_is_evaluated_and_a_healthy_service_raises_no_alert(
    serve, watch, database, product
):
    with serve(database.desk, owner_url=database.owner, LOAN_MONITOR="yes") as server:
        key = server.flask("api-keys", "create", "core-banking")
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        place = server.url.removeprefix("http://")
        with watch([place, place.replace("127.0.0.1", "localhost")]) as watcher:
            for application in examples(product, count=8, seed=11):
                body, url = json.dumps(application).encode(), f"{server.url}/api/v1/decisions"
                request = urllib.request.Request(url, body, headers)
                urllib.request.urlopen(request, timeout=30).close()
            # The watch verifies the audit log when it has started.
            watcher.until(lambda: watcher.query("loan_audit_valid == 1"))
            for name in RECORDED:
                watcher.until(lambda name=name: watcher.query(name))
            watcher.until(lambda: all(rule["health"] != "unknown" for rule in watcher.rules()))
            assert [rule["name"] for rule in watcher.rules() if rule["health"] != "ok"] == []
            watcher.until(lambda: [r["name"] for r in watcher.rules() if r.get("alerts")] == [])
