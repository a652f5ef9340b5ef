"""Tests that one TOML and one CSV file are enough for the steps of docs/bring-your-own.md."""

import html
import json
import re
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode

import pandas as pd
import pytest

from ml.product.formats import format_integer
from ml.product.texts import LANGUAGES
from ml.training.dataset import as_applications, read_rows
from tests.fixtures.commands import run_ml
from tests.fixtures.models import cells

DOC = (Path(__file__).parents[2] / "docs/bring-your-own.md").read_text()


@pytest.fixture(scope="module")
def unseen(house, brought):
    """The unseen application with the lowest probability, and that probability."""
    fields = read_rows(house.product, brought / "unseen_rows.csv").fields
    probability = house.scorer.score_many(fields)
    return as_applications(fields.iloc[[probability.argmin()]])[0], float(probability.min())


class Browser:
    """An HTTP client with cookies and a language."""

    def __init__(self, url):
        self._url = url
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path, *, language="en", form=None):
        data = urlencode(form).encode() if form else None
        request = urllib.request.Request(
            self._url + path, data, {"Accept-Language": language, "Referer": self._url}
        )
        with self._open.open(request, timeout=60) as answer:
            return answer.read().decode()

    def token(self, path):
        return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(path))[1]


def call(server, path, key, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/api/v1{path}", data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_product_is_defined_by_two_files(walked, house, brought):
    brought_files = {f.name for f in brought.iterdir() if f.is_file()}
    assert brought_files == {"house_loan.toml", "house_rows.csv", "unseen_rows.csv"}
    assert house.product.name == "house_loan"
    rows = len(pd.read_csv(brought / "house_rows.csv"))
    assert house.manifest.data.rows == rows > 0
    assert house.file("product.toml") == (brought / "house_loan.toml").read_bytes()
    output = " ".join(walked["train"]["stderr"].split())
    assert f"House loan: {rows} rows" in output
    assert f"version {house.version}." in output


def test_commands_report_on_the_product(walked, house, brought):
    assert walked["verify"]["stdout"].endswith(
        f"{house.version} is unchanged and gives its known answers\n"
    )
    figures = json.loads(walked["evaluate"]["stdout"])
    left_out = re.findall(r"^(\d+) rows? left out", walked["evaluate"]["stderr"], re.M)
    rows = len(pd.read_csv(brought / "unseen_rows.csv"))
    assert left_out
    assert figures["n"] == rows - sum(map(int, left_out)) > 0
    assert figures["roc_auc"] > 0.6
    assert 0.5 < figures["grant_rate"] < 1
    report = walked["fairness"]["stdout"]
    assert [f.name for f in house.product.protected if f.label.en not in report] == []
    assert "trained" not in walked["fairness"]["stderr"]
    card = walked["card"]["stdout"]
    assert house.version in card
    assert "Prêt maison" in card
    assert all(limit.fr in card for limit in house.product.limits)


def test_pages_show_the_product_s_texts(serve, house, unseen):
    application, probability = unseen
    product = house.product
    assert probability < house.threshold
    typed = {
        n: "" if v is None else format_integer(v, "en") if isinstance(v, int) else v
        for n, v in application.items()
    }
    with serve(LOAN_BUNDLE=str(house.directory)) as server:
        browser = Browser(server.url)
        form = {"username": "admin", "password": server.flask("users", "set-password", "admin")}
        browser.get("/login", form={**form, "csrf_token": browser.token("/login")})
        for language in LANGUAGES:
            page = browser.get("/applications/new", language=language)
            for named in (product, *product.groups, *product.inputs):
                assert html.escape(named.label.in_language(language), quote=False) in page
            asked = set(re.findall(r'name="(\w+)"', page))
            assert set(product.by_name) <= asked
            assert not {f.name for f in product.protected} & asked
        page = browser.get("/applications/new")
        hidden = {
            name: re.search(rf'name="{name}"[^>]*value="([^"]*)"', page)[1]
            for name in ("csrf_token", "submission", "opened-by")
        }
        page = browser.get("/applications/new", form={**typed, **hidden})
        number = int(re.search(r"<title>[^<]*decision (\d+)", page)[1])
        expected = house.explainer.explain(application, granted=False).reasons
        for language in LANGUAGES:
            page = html.unescape(browser.get(f"/decisions/{number}", language=language))
            reasons = re.search(r'<ol class="reasons">(.*?)</ol>', page, re.S)[1]
            assert [text.strip() for text in re.findall(r"<li>([^<]*)", reasons)] == [
                r.text.in_language(language) for r in expected if r.principal
            ]
            rule = {
                "en": "Our house rules are not met",
                "fr": "Nos règles maison ne sont pas remplies",
            }
            kind = next(f for f in product.inputs if f.name == "property_type")
            choice = next(c for c in kind.choices if c.value == application["property_type"])
            colon = "\u00a0: " if language == "fr" else ": "
            plain = kind.label.in_language(language) + colon + choice.label.in_language(language)
            assert rule[language] in reasons
            assert f'<th scope="row">{plain}' in page
        page = browser.get("/model", language="fr")
        assert "Prêt maison" in page
        assert house.version in page
        key = server.flask("api-keys", "create", "branches")
        body = call(server, "/decisions", key, application)
        assert (body["product"], body["decision"]) == ("house_loan", "refused")
        assert [r["field"] for r in body["reasons"]] == [r.field for r in expected]
        assert {r["field"] for r in body["reasons"]} == set(product.players)
        assert call(server, f"/decisions/{body['id']}/reasons", key)["reasons"] == body["reasons"]
        assert call(server, "/models/current", key)["product"]["name"] == "house_loan"
        with pytest.raises(HTTPError, match="422"):
            call(server, "/decisions", key, {**application, "loan_amount": 1})
        metrics = browser.get("/metrics")
    counted = re.findall(r'loan_decisions_total\{.*product="house_loan"\S* (\S+)', metrics)
    assert sorted(map(float, counted)) == [1, 1]


def breakages(definition, rows):
    """Yield the command, the TOML and the rows of each possible mistake."""
    loan = 'label = { en = "Sum for house & garden"'
    for ours, wrong in (
        ('name = "house_loan"', "name = house_loan"),
        ('amount = "loan_amount"\n', ""),
        ("minimum = 1_000\n", "minimun = 1_000\n"),
        (f'{loan}, fr = "Somme pour maison et jardin" }}', f"{loan} }}"),
        ('name = "loan_amount"\n', 'name = "loan amount"\n'),
        ("minimum = 1_000\n", ""),
        ('name = "cosigner"', 'name = "copy"'),
        ('amount = "loan_amount"', 'amount = "cosigner"'),
        ("step = 12\n", ""),
        (f'group = "loan"\n{loan}', f'group = "money"\n{loan}'),
    ):
        text = definition
        assert text.count(ours) == 1, ours
        yield "train", text.replace(ours, wrong), rows
    for wrong in (
        None,
        rows.drop(columns=["cosigner", "self_employed"]),
        rows.assign(self_employed="yes"),
        rows.assign(approved=2),
        rows.assign(net_worth=""),
        rows.assign(liquid_assets=""),
        rows.assign(loan_amount="84.5"),
        ";",
        rows.head(30),
    ):
        yield "train", definition, wrong
    leave_out = 'repeated = "leave_out"\n'
    assert definition.count(leave_out) == 1
    yield "train", definition.replace(leave_out, ""), pd.concat([rows, rows.head(1)])
    yield "fairness", definition, rows.assign(protected_sex="woman")


def test_doc_s_error_lines_are_those_of_the_commands(
    house, brought, definition, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        done = run_ml(*arguments)
        assert done.code == 2
        return done.err.splitlines()[-1]

    train = ("train", "--product", "house_loan.toml", "--data", "house_rows.csv")
    train += ("--out", "models/house_loan")
    fairness = ("fairness", "--bundle", str(house.directory), "--data", "house_rows.csv")
    errors = [run("verify", "--bundle", "models/house_loan")]
    rows = cells(brought / "house_rows.csv")
    for command, text, wrong in breakages(definition, rows):
        Path("house_loan.toml").write_text(text)
        Path("house_rows.csv").unlink(missing_ok=True)
        if isinstance(wrong, str):
            rows.to_csv("house_rows.csv", index=False, sep=wrong)
        elif wrong is not None:
            wrong.to_csv("house_rows.csv", index=False)
        errors.append(run(*(train if command == "train" else fairness)))
    assert not Path("models").exists()
    Path("house_loan.toml").write_text(definition)
    rows.to_csv("house_rows.csv", index=False)
    Path("models/house_loan").mkdir(parents=True)
    Path("models/house_loan/mine.txt").touch()
    errors.append(run(*train))
    lines = re.findall(r"^\| `(Error: .*?)` \|", DOC, re.M)
    assert sorted(lines) == sorted(errors)
