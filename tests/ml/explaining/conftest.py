"""Fitted models, with their products, rows and explainers."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from ml.explaining.reasons import Explainer, Explanation
from ml.product.application import Application
from ml.product.definition import Product
from ml.product.files import read_product
from ml.product.samples import examples
from ml.scoring.scorer import Scorer
from ml.training.dataset import as_applications, read_rows
from ml.training.reference import BACKGROUND_ROWS, background
from ml.training.train import Trained
from tests.fixtures.models import scorer_of, with_optional

SECOND_RATIO = {
    "name": "payment_to_income",
    "label": {"en": "Payment to income", "fr": "Mensualité rapportée au revenu"},
    "sum": {"loan_amount": 1},
    "over": ["loan_term_months", "monthly_income"],
    "minimum": 0.0,
    "maximum": 2.0,
}
EIGHT = (
    "loan_amount",
    "loan_term_months",
    "property_type",
    "cosigner",
    "liquid_assets",
    "net_worth",
    "credit_history_meets_guidelines",
    "consumer_credit_history",
)


class Case:
    """A fitted model with the rows of its product and the background of its explanations."""

    def __init__(self, product: Product, model: Pipeline) -> None:
        self.product, self.model, self.scorer = product, model, scorer_of(model)
        self.fields = read_rows(product, product.data_file).fields
        self.probability = self.scorer.score_many(self.fields)
        self.background = background(
            self.fields, self.probability, threshold=0.5, count=BACKGROUND_ROWS["rbf"]
        )

    @cached_property
    def explainer(self) -> Explainer:
        return Explainer(self.product, self.scorer, self.background)

    @cached_property
    def refused(self) -> list[Application]:
        return as_applications(self.fields[self.probability < 0.5])

    @cached_property
    def granted(self) -> list[Application]:
        return as_applications(self.fields[self.probability >= 0.5])

    def explain(self, application: Application, *, granted: bool = False) -> Explanation:
        return self.explainer.explain(application, granted=granted)

    def applicants(self, count: int) -> list[Application]:
        """Return refused rows and random applications with missing and unseen values, half each."""
        refused = self.refused[: count // 2]
        rest = count - len(refused)
        return [*refused, *examples(self.product, count=rest, seed=1, unseen=True)]

    def scikit_learn(self, frame: dict[str, Any]) -> np.ndarray:
        """Return the margins by the fitted pipeline."""
        raw = self.model.named_steps["columns"].transform(pd.DataFrame(frame))
        [calibrated] = self.model.named_steps["calibrated"].calibrated_classifiers_
        return calibrated.estimator.decision_function(raw)


@pytest.fixture(scope="session")
def products() -> dict[str, Product]:
    """Both shipped products, one whose ratios share a field, and one of eight fields of
    which a number, a choice and a flag may be left out."""
    credit, mortgage = read_product("consumer_credit"), read_product("mortgage")
    ratios = [*stated(credit)["ratios"], SECOND_RATIO]
    lenient = with_optional(mortgage, "property_type", "credit_history_meets_guidelines")
    # Without directions: a missing number with a direction never counts in favour of granting.
    few = [stated(f) | {"monotone": None} for f in lenient.fields if f.name in EIGHT]
    rest = {
        "rows": {"leave_out_empty": ["loan_term_months"], "repeated": "leave_out"},
        "policy_rules": [],
        "figures": [],
        "warnings": [],
    }
    return {
        "consumer_credit": credit,
        "mortgage": mortgage,
        "tied": Product.model_validate(stated(credit) | {"ratios": ratios}),
        "reduced": Product.model_validate(stated(lenient) | {"fields": few} | rest),
    }


def stated(part: Any) -> dict[str, Any]:
    return part.model_dump(exclude_unset=True)


@pytest.fixture(scope="session")
def case(fitted, products) -> Callable[[str, str], Case]:
    """Return the case of a product and a candidate, which is made at the first call."""
    made: dict[tuple[str, str], Case] = {}

    def get(which: str, name: str) -> Case:
        if (which, name) not in made:
            made[which, name] = Case(products[which], fitted(products[which], name))
        return made[which, name]

    return get


@pytest.fixture(scope="session")
def scorer_for(fitted) -> Callable[[str, Product], Scorer]:
    """Return the Scorer of a candidate fitted on a product's rows."""
    return lambda name, product: scorer_of(fitted(product, name))


@pytest.fixture
def base(trained: Trained, product: Product) -> tuple[Trained, Application]:
    """A training to derive artificial scorers from, and an application."""
    application = examples(product, count=1, seed=12)[0]
    application |= {"loan_amount": 9_000, "purchase_price": 20_000, "loan_term_months": 40}
    return trained, application
