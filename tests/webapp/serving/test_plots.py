"""The addresses of the card's plots."""

import pytest

# The plots come from the bundle, so one kind of database is enough.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_unchanged_plot_is_not_sent_again(signed_in):
    first = signed_in.get("/model/plots/roc.en.light.svg")
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    again = signed_in.get(
        "/model/plots/roc.en.light.svg", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")
    other = signed_in.get(
        "/model/plots/roc.fr.light.svg", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert other.status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "yacht.en.light.svg",
        "roc.de.light.svg",
        "roc.en.blue.svg",
        "roc.en.light.png",
        "../model.joblib",
        "..%2fmodel.joblib",
        "%2e%2e/manifest.json",
        "roc.en.light.svg/../../../manifest.json",
        "",
    ],
)
def test_plot_of_another_name_is_not_found(signed_in, name):
    answer = signed_in.get(f"/model/plots/{name}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")


def test_plot_needs_a_sign_in(client):
    answer = client.get("/model/plots/roc.en.light.svg")
    assert answer.status_code == 302
    assert "/login" in answer.headers["Location"]
