"""The candidates: the kinds of model that a training compares, and their common preparation."""

from dataclasses import dataclass, replace

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from ml.bundle.facts import Setting
from ml.product.definition import Product
from ml.product.texts import Text
from ml.training.monotone import Loss, MonotoneLinear
from ml.training.splines import Splines

SVC_KERNELS = ("svc_rbf", "svc_linear")
N_NEIGHBOURS = "classify__n_neighbors"
UNBOUND = "_unbound"  # the suffix in the name of a candidate fitted without directions
LABELS = {
    "svc_rbf": Text(en="SVC (rbf)", fr="SVC (rbf)"),
    "svc_linear": Text(en="SVC (linear)", fr="SVC (linéaire)"),
    "logistic": Text(en="logistic regression", fr="régression logistique"),
    "neighbours": Text(en="k nearest neighbours", fr="k plus proches voisins"),
    "forest": Text(en="random forest", fr="forêt aléatoire"),
    "boosting": Text(en="histogram gradient boosting", fr="gradient boosting par histogrammes"),
}


@dataclass(frozen=True)
class Candidate:
    """A kind of model with the settings that are tried for it.

    Attributes
    ----------
    name : str
        The name in files; pages show the label in `LABELS`.
    estimator : Pipeline
        The unfitted preparation and classifier.
    unbound : Pipeline or None
        The same without the directions that the product states; None if `estimator` ignores them.
    grid, fine_grid : dict of str to list
        The settings to compare within each training set, by default and for a thorough training.
    """

    name: str
    estimator: Pipeline
    grid: dict[str, list[Setting]]
    fine_grid: dict[str, list[Setting]]
    unbound: Pipeline | None = None

    def without_directions(self) -> "Candidate":
        """Return the candidate that ignores the directions; its name ends with `UNBOUND`."""
        return replace(self, name=self.name + UNBOUND, estimator=self.unbound, unbound=None)

    def fittable(self, *, rows: int, thorough: bool) -> dict[str, list[Setting]]:
        """Return the grid without the settings that need more rows.

        Parameters
        ----------
        rows : int
            The number of rows of the smallest set on which a setting is fitted.
        thorough : bool
            Whether to take the fine grid.

        Returns
        -------
        dict of str to list
        """
        grid = dict(self.fine_grid if thorough else self.grid)
        # Rows have at most as many neighbours as there are rows. Nothing else needs a number of
        # rows.
        if N_NEIGHBOURS in grid:
            counts = grid[N_NEIGHBOURS]
            grid[N_NEIGHBOURS] = [n for n in counts if isinstance(n, int) and n <= rows]
        return grid


def preparation(product: Product, *, splines: bool) -> ColumnTransformer:
    """Return the unfitted imputation, missing-value indicators, normalisation and one-hot encoding.

    Parameters
    ----------
    product : Product
    splines : bool
        Whether each normalised number is expanded in a B-spline basis, so that a linear model can
        fit a curve.

    Returns
    -------
    ColumnTransformer
        With the parts ``number``, ``flag``, ``missing`` and ``choice``.
    """
    numbers = [number.name for number in product.numbers]
    flags = [f.name for f in product.inputs if f.kind == "flag"]
    absent = [f.name for f in product.inputs if f.kind != "choice" and f.optional]
    choices = [f for f in product.inputs if f.kind == "choice"]
    # A field that no row of a fold answers keeps its place among the columns.
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    most_frequent = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
    normalised = [("impute", median), ("scale", StandardScaler())]
    spline = Splines(knots="quantile", degree=2, extrapolation="constant", include_bias=False)
    words = OneHotEncoder(
        categories=[[c.value for c in f.choices] for f in choices],
        handle_unknown="ignore",
        sparse_output=False,
    )
    parts = [
        ("number", Pipeline([*normalised, *([("spline", spline)] if splines else [])]), numbers),
        ("flag", Pipeline(normalised), flags),
        ("missing", MissingIndicator(features="all"), absent),
        (
            "choice",
            Pipeline([("impute", most_frequent), ("encode", words)]),
            [f.name for f in choices],
        ),
    ]
    return ColumnTransformer([p for p in parts if p[2]])


def _monotone(product: Product, loss: Loss) -> MonotoneLinear:
    """Return a linear classifier for the columns that `preparation` makes with splines."""
    numbers = [number.name for number in product.numbers]
    flags = sum(f.kind == "flag" for f in product.inputs)
    absent = [f.name for f in product.inputs if f.kind != "choice" and f.optional]
    return MonotoneLinear(
        loss,
        directions=tuple(number.monotone for number in product.numbers),
        others=flags + len(absent) + sum(len(f.choices) for f in product.inputs),
        absent=tuple(
            (numbers.index(name), flags + i) for i, name in enumerate(absent) if name in numbers
        ),
    )


def candidates(product: Product, *, seed: int) -> list[Candidate]:
    """Return the candidates for a product.

    Parameters
    ----------
    product : Product
    seed : int
        Of every random choice inside a model.

    Returns
    -------
    list of Candidate
        The two SVCs come first. The linear models get splines of the numbers, and keep to the
        directions that the product states.
    """

    def pipeline(classifier: BaseEstimator, *, splines: bool = False) -> Pipeline:
        return Pipeline(
            [("prepare", preparation(product, splines=splines)), ("classify", classifier)]
        )

    directed = any(number.monotone for number in product.numbers)

    def bound(loss: Loss) -> Pipeline | None:
        return pipeline(_monotone(product, loss), splines=True) if directed else None

    knots = "prepare__number__spline__n_knots"
    degree = "prepare__number__spline__degree"
    forest = RandomForestClassifier(n_estimators=200, random_state=seed)
    # Squared hinge, solved in the primal: docs/adr/0014.
    svc = pipeline(LinearSVC(dual=False, max_iter=5000), splines=True)
    logistic = pipeline(LogisticRegression(max_iter=5000), splines=True)
    boosting = HistGradientBoostingClassifier(early_stopping=False, random_state=seed)
    return [
        Candidate(
            "svc_rbf",
            pipeline(SVC(kernel="rbf")),
            {"classify__C": [0.5, 1, 3], "classify__gamma": [0.02, 0.05]},
            {"classify__C": [0.3, 1, 3, 10], "classify__gamma": [0.01, 0.02, 0.05, 0.1]},
        ),
        Candidate(
            "svc_linear",
            bound("squared_hinge") or svc,
            {"classify__C": [0.03, 0.1, 0.3], knots: [5], degree: [2, 3]},
            {"classify__C": [0.01, 0.03, 0.1, 0.3], knots: [4, 5, 7], degree: [2, 3]},
            unbound=svc if directed else None,
        ),
        Candidate(
            "logistic",
            bound("log") or logistic,
            {"classify__C": [0.1, 0.3, 1], knots: [5], degree: [2, 3]},
            {"classify__C": [0.03, 0.1, 0.3, 1, 3], knots: [4, 5, 7], degree: [2, 3]},
            unbound=logistic if directed else None,
        ),
        Candidate(
            "neighbours",
            pipeline(KNeighborsClassifier()),
            {N_NEIGHBOURS: [15, 31, 61]},
            {
                N_NEIGHBOURS: [9, 15, 31, 61, 101],
                "classify__weights": ["uniform", "distance"],
            },
        ),
        Candidate(
            "forest",
            pipeline(forest),
            {"classify__min_samples_leaf": [5]},
            {
                "classify__min_samples_leaf": [1, 3, 8, 15],
                "classify__max_features": ["sqrt", 0.5],
            },
        ),
        Candidate(
            "boosting",
            pipeline(boosting),
            {
                "classify__learning_rate": [0.05],
                "classify__max_iter": [80, 150],
                "classify__max_leaf_nodes": [6],
            },
            {
                "classify__learning_rate": [0.05, 0.1],
                "classify__max_iter": [80, 150, 300],
                "classify__max_leaf_nodes": [4, 8],
            },
        ),
    ]
