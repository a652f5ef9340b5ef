"""Assembles a bundle from the results of a training."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from ml.bundle.facts import Effort, Facts, KnownAnswer, Recalibration, TrainingData
from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CARD,
    CHAMPION,
    LABELLED,
    NOVELTY,
    PRODUCT,
    REFERENCE,
    challenger_files,
)
from ml.bundle.reader import Bundle, load_pipeline, read_bundle
from ml.bundle.verify import verify_bundle
from ml.bundle.writer import write_bundle
from ml.card.card import CardContent
from ml.card.checks import shortcomings
from ml.evaluation.fairness import assess
from ml.evaluation.performance import evidence, figures, judged
from ml.evaluation.reports import Evidence, Importance, NoveltyWorth
from ml.explaining.reasons import Explainer
from ml.monitoring.bins import reference_of
from ml.monitoring.logistic import UNCHANGED, Line
from ml.product.application import Application, as_columns
from ml.product.definition import Product
from ml.product.errors import InvalidData
from ml.product.samples import examples
from ml.product.texts import LANGUAGES
from ml.scoring.scorer import Scorer
from ml.training.curves import curves
from ml.training.dataset import Rows, as_applications, sha256_of
from ml.training.export import export_scorer, kind_of
from ml.training.omissions import omissions
from ml.training.reference import (
    BACKGROUND_ROWS,
    Neighbourhood,
    background,
    labelled,
    neighbourhood,
    ranges,
)
from ml.training.selection import RULE
from ml.training.stability import stability
from ml.training.train import Trained

KNOWN_ANSWERS = 20  # so that an optional field is missing in one of them with probability .99
KNOWN_SHARES = 3  # how many have shares, which take seconds each without a closed form


@dataclass(frozen=True)
class Origin:
    """The inputs and settings of a training.

    Attributes
    ----------
    definition : bytes
        The content of the product's TOML file.
    data_file : Path
        The CSV file of the rows.
    rows : Rows
        The rows of that file. Protected columns are used only for the fairness report.
    seed : int
    effort : Effort
    cost_ratio : float
        The cost of granting a bad loan, divided by the cost of refusing a good one.
    threshold : float
        The lowest probability of being good at which a loan is granted.
    by_hand : bool
        Whether the threshold was set by hand instead of computed from the cost ratio.
    force : bool
        Whether the bundle is written even if the model is no better than no model.
    line : Line
        The correction by outcomes that the models and `Trained.out_of_fold` include.
    recalibration : Recalibration or None
        The newest such correction.
    """

    definition: bytes
    data_file: Path
    rows: Rows
    seed: int
    effort: Effort
    cost_ratio: float
    threshold: float
    by_hand: bool = False
    force: bool = False
    line: Line = UNCHANGED
    recalibration: Recalibration | None = None


def assemble(directory: Path, product: Product, trained: Trained, origin: Origin) -> Bundle:
    """Write a bundle, then read it as a service does and verify its known answers.

    Parameters
    ----------
    directory : Path
        The folder to write.
    product : Product
    trained : Trained
    origin : Origin

    Returns
    -------
    Bundle

    Raises
    ------
    InvalidBundle
        The bundle cannot be written, or does not give its known answers.
    InvalidData
        No row reaches the threshold, or the model is no better than no model and `origin.force` is
        false.
    """
    files = {PRODUCT: origin.definition, **_models(trained)}
    scorer = Scorer(files[ARRAYS], pipeline=load_pipeline(files[CHAMPION]))
    fields, good = origin.rows.data
    kind = kind_of(trained.models[trained.champion])
    probability = scorer.score_many(fields)
    compared = background(
        fields, probability, threshold=origin.threshold, count=BACKGROUND_ROWS[kind]
    )
    _refuse_worthless(trained, origin)
    files[BACKGROUND] = _json(compared)
    around = neighbourhood(
        scorer.columns.matrix(fields), numbers=len(product.numbers), seed=origin.seed
    )
    files[NOVELTY] = around.content
    files |= _evidence(product, trained, origin, scorer, around)
    columns = as_columns(as_applications(fields))
    unusual = float(around.marked.mean())
    reference = reference_of(product, columns, trained.out_of_fold, unusual=unusual)
    files[REFERENCE] = _json(reference.model_dump(mode="json"))
    files[LABELLED] = labelled(good, trained.out_of_fold, kept=around.kept, line=origin.line)
    facts = Facts(
        product=product.name,
        champion=trained.champion,
        scorer=kind,
        rule=RULE,
        reason=trained.reason,
        table=trained.table,
        settings=trained.settings,
        threshold=origin.threshold,
        threshold_from="set by hand" if origin.by_hand else f"cost ratio {origin.cost_ratio:g} : 1",
        cost_ratio=origin.cost_ratio,
        seed=origin.seed,
        effort=origin.effort,
        data=TrainingData(
            file=origin.data_file.name,
            sha256=sha256_of(origin.data_file),
            rows=len(good),
            good=int(good.sum()),
            left_out=origin.rows.left_out,
            constant=origin.rows.constant,
        ),
        ranges=ranges(product, fields),
        omissions=omissions(product, scorer, fields, threshold=origin.threshold),
        known_answers=_known_answers(product, trained, Explainer(product, scorer, compared)),
        trained_at=datetime.now(UTC),
        recalibration=origin.recalibration,
    )
    write_bundle(directory, files, facts)
    bundle = read_bundle(directory)
    verify_bundle(bundle)
    return bundle


def _refuse_worthless(trained: Trained, origin: Origin) -> None:
    row = next(row for row in trained.table if row.name == trained.champion)
    good, ratio = origin.rows.good, origin.cost_ratio
    cost = figures(
        good, trained.out_of_fold, threshold=origin.threshold, cost_ratio=ratio
    ).expected_cost
    found = shortcomings(
        cost=cost,
        area=row.roc_auc.mean,
        good=float(good.mean()),
        cost_ratio=ratio,
        language=LANGUAGES[0],
    )
    if found and not origin.force:
        raise InvalidData(f"{' '.join(found)} Nothing was written; --force writes it anyway.")


def _models(trained: Trained) -> dict[str, bytes]:
    files = {}
    for name, model in trained.models.items():
        pickle, arrays = (CHAMPION, ARRAYS) if name == trained.champion else challenger_files(name)
        files[pickle], files[arrays] = _dumped(model), export_scorer(model)
    return files


def _evidence(
    product: Product, trained: Trained, origin: Origin, scorer: Scorer, around: Neighbourhood
) -> dict[str, bytes]:
    """Return the model card's content and its plots."""
    rows, seed, threshold = origin.rows, origin.seed, origin.threshold
    good, probability = rows.good, trained.out_of_fold
    shown = evidence(
        good=good, probability=probability, threshold=threshold, cost_ratio=origin.cost_ratio
    )
    halves = (around.kept[around.marked], around.kept[~around.marked])
    marked, others = (judged(good[h], probability[h], threshold=threshold) for h in halves)
    card = CardContent(
        evidence=shown,
        chosen_blind=trained.chosen_blind,
        importance=trained.importance,
        fairness=assess(
            product,
            rows.protected,
            good=good,
            granted=probability >= threshold,
            probability=probability,
        ),
        bound=trained.bound,
        curves=curves(product, scorer, rows.fields, seed=seed),
        stability=stability(
            product,
            scorer,
            rows.fields,
            kind=kind_of(trained.models[trained.champion]),
            threshold=threshold,
            seed=seed,
        ),
        novelty=NoveltyWorth(marked=marked, others=others),
    )
    pictures = _pictures(good, probability, shown, trained.importance)
    return {CARD: _json(card.model_dump(mode="json")), **pictures}


def _pictures(
    good: np.ndarray, probability: np.ndarray, shown: Evidence, importance: Sequence[Importance]
) -> dict[str, bytes]:
    from ml.card.plots import draw  # noqa: PLC0415 - matplotlib takes a second

    return draw(good=good, probability=probability, evidence=shown, importance=importance)


def _known_answers(
    product: Product, trained: Trained, explainer: Explainer
) -> tuple[KnownAnswer, ...]:
    applications = examples(product, count=KNOWN_ANSWERS, seed=0, unseen=True)
    frame = pd.DataFrame(applications)
    answers = {
        name: model.predict_proba(frame)[:, 1].tolist() for name, model in trained.models.items()
    }
    champion = answers.pop(trained.champion)
    return tuple(
        KnownAnswer(
            application=application,
            probability=champion[i],
            challengers={name: others[i] for name, others in answers.items()},
            shares=_shares(explainer, application) if i < KNOWN_SHARES else None,
        )
        for i, application in enumerate(applications)
    )


def _shares(explainer: Explainer, application: Application) -> dict[str, float]:
    return {r.field: r.share for r in explainer.explain(application, granted=False).reasons}


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"


def _dumped(model: object) -> bytes:
    content = io.BytesIO()
    joblib.dump(model, content, compress=3)
    return content.getvalue()
