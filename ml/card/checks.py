"""Describes the checks of a model at training, in sentences."""

import math
from collections.abc import Iterator

from ml.bundle.facts import MAX_GRANTED_BY_OMISSION, Metrics, Omission, ScorerKind, Spread
from ml.card.card import ModelCard
from ml.card.sentences import SENTENCES
from ml.evaluation.intervals import difference
from ml.evaluation.reports import (
    CURVE_ROWS,
    CURVE_VALUES,
    Bound,
    Figures,
    NoveltyWorth,
    Stability,
)
from ml.product.formats import decimal, format_integer, percent
from ml.product.texts import Text


def shortcomings(
    *, cost: float, area: float, good: float, cost_ratio: float, language: str
) -> list[str]:
    """Return a sentence for each way in which a model is no better than no model.

    Parameters
    ----------
    cost : float
        The expected cost per row over all rows, each decided by a model that was not fitted on it.
    area : float
        The mean ROC-AUC over the outer folds.
    good : float
        The share of good rows.
    cost_ratio : float
        The cost of granting a bad loan, divided by the cost of refusing a good one.
    language : str
        Its two-letter code.

    Returns
    -------
    list of str
        Empty if the model costs less than granting all and less than refusing all applications,
        and its ROC-AUC is at least 0.5.
    """
    least = min(cost_ratio * (1 - good), good)  # of granting all and of refusing all
    found = []
    if cost > least or math.isclose(cost, least):
        numbers = (decimal(number, language, places=4) for number in (cost, least))
        sentence = SENTENCES["costly"].in_language(language)
        found.append(sentence.format(**dict(zip(("cost", "least"), numbers, strict=True))))
    if area < 0.5:
        sentence = SENTENCES["random"].in_language(language)
        found.append(sentence.format(auc=decimal(area, language, places=4)))
    return found


def checks(card: ModelCard, language: str) -> list[str]:
    """Return the sentences that describe the checks of a model at training.

    Parameters
    ----------
    card : ModelCard
    language : str
        Its two-letter code.

    Returns
    -------
    list of str
    """
    return list(_Checks(language).of(card))


class _Checks:
    """Writes the sentences in one language."""

    def __init__(self, language: str) -> None:
        self._language = language

    def of(self, card: ModelCard) -> Iterator[str]:
        own = next(c for c in card.candidates if c.name == card.champion)
        yield from shortcomings(
            cost=card.evidence.figures.expected_cost,
            area=own.roc_auc.mean,
            good=card.data.good / card.data.rows,
            cost_ratio=card.cost_ratio,
            language=self._language,
        )
        yield self._blind(card.chosen_blind, own)
        limit = card.effort.search_rows
        if limit is not None and card.data.rows > limit:
            yield self._say("search", count=self._integer(limit))
        if card.data.constant:
            yield self._constant(card)
        labels = {c.name: c.label for c in card.candidates}
        for bound in card.bound:
            yield self._bound(bound, labels[bound.candidate])
        yield from self._curves(card)
        for omission in card.omissions:
            yield self._omission(omission)
        yield self._stability(card.stability, card.scorer)
        yield self._novelty(card.novelty)

    def _say(self, key: str, **parts: str) -> str:
        sentence = SENTENCES[key].in_language(self._language).format(**parts)
        return sentence[0].upper() + sentence[1:]  # it may begin with a label

    def _integer(self, number: int) -> str:
        return format_integer(number, self._language)

    def _share(self, share: float) -> str:
        return percent(share, self._language)

    def _exact(self, number: float) -> str:
        return decimal(number, self._language, places=4)

    def _blind(self, blind: Figures, own: Metrics[Spread]) -> str:
        return self._say(
            "blind",
            blind_cost=self._exact(blind.expected_cost),
            blind_auc=self._exact(blind.roc_auc),
            cost=self._exact(own.expected_cost.mean),
            auc=self._exact(own.roc_auc.mean),
        )

    def _constant(self, card: ModelCard) -> str:
        labels = {row.field: row.label.in_language(self._language) for row in card.importance}
        return self._say("constant", labels=", ".join(labels[name] for name in card.data.constant))

    def _bound(self, bound: Bound, label: Text) -> str:
        return self._say(
            "kept" if bound.kept else "not_kept",
            label=label.in_language(self._language),
            gain=self._exact(bound.gain),
            error=self._exact(bound.error),
        )

    def _curves(self, card: ModelCard) -> Iterator[str]:
        kept = [c.label.in_language(self._language) for c in card.curves if not c.against]
        if kept:
            yield self._say("curves", labels=", ".join(kept))
        between = SENTENCES["stretch"].in_language(self._language)
        for curve in card.curves:
            if curve.against:
                stretches = [between.format(*map(self._integer, ends)) for ends in curve.against]
                yield self._say(
                    "against",
                    label=curve.label.in_language(self._language),
                    stretches=", ".join(stretches),
                    fall=self._share(curve.fall),
                )
        # A champion with bounded coefficients keeps to the directions at every value. For others,
        # the sentence states how large the sample was.
        bounded = any(b.candidate == card.champion and b.kept for b in card.bound)
        if card.curves and not bounded:
            rows, values = self._integer(CURVE_ROWS), self._integer(CURVE_VALUES)
            yield self._say("sampled", rows=rows, values=values)

    def _omission(self, omission: Omission) -> str:
        sentence = self._say(
            "omission",
            label=omission.label.in_language(self._language),
            granted=self._integer(omission.granted),
            refused=self._integer(omission.refused),
            share=self._share(omission.share),
        )
        if not omission.excessive:
            return sentence
        return f"{sentence} {self._say('excessive', limit=self._share(MAX_GRANTED_BY_OMISSION))}"

    def _stability(self, stability: Stability | None, kind: ScorerKind) -> str:
        if stability is None:
            return self._say("too_slow" if kind == "pipeline" else "none_refused")
        return self._say(
            "stability",
            rows=self._integer(stability.background_rows),
            resamples=self._integer(stability.resamples),
            refused=self._integer(stability.refused),
            first=self._share(stability.first_reason),
            principal=self._share(stability.principal_reasons),
        )

    def _novelty(self, worth: NoveltyWorth) -> str:
        marked, others = worth.marked.accuracy, worth.others.accuracy
        rows = self._integer(worth.marked.n + worth.others.n)
        if marked is None:
            return self._say("none_marked", rows=rows)
        right = {
            "right": self._share(marked.value),
            "low": self._share(marked.low),
            "high": self._share(marked.high),
        }
        if others is None:
            return self._say("all_marked", rows=rows, **right)
        sentence = self._say(
            "novelty",
            marked=self._integer(worth.marked.n),
            rows=rows,
            **right,
            others=self._share(others.value),
            others_low=self._share(others.low),
            others_high=self._share(others.high),
        )
        less = difference(marked, others).high < 0
        return f"{sentence} {self._say('less_sure' if less else 'as_sure')}"
