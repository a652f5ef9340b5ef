"""The JSON about decisions that the API answers with."""

from typing import Any

from pydantic_core import to_json

from webapp.columns import DecisionValue
from webapp.decisions.records import Contents, Decision, StoredCauses, StoredReasons
from webapp.decisions.writing import NewContents


def decision_json(
    decision: Decision,
    contents: Contents | NewContents | None,
    *,
    language: str,
    final: DecisionValue | None = None,
) -> bytes:
    """Return a decision as JSON, with its final word if that is given.

    The same arguments always give the same bytes.
    """
    more = {} if final is None else {"final_decision": final}
    return to_json(
        {
            "id": decision.id,
            "reference": contents and contents.reference,
            "decision": decision.decision,
            "basis": decision.basis,
            "model_decision": decision.model_decision,
            "probability": decision.probability,
            "threshold": decision.threshold,
            "product": decision.product,
            "model": decision.model,
            "policy": decision.policy,
            "corrects": decision.corrects,
            "out_of_range": decision.out_of_range,
            "causes": contents and causes_in(contents.causes, language=language),
            "reasons": contents and reasons_in(contents.reasons, language=language),
            "features": contents and _features(contents),
            "channel": decision.channel,
            "operator": decision.operator,
            "created_at": decision.created_at.isoformat(),
            **more,
        }
    )


def reasons_in(reasons: StoredReasons | None, *, language: str) -> list[dict[str, Any]] | None:
    """Return reasons with their texts in one language."""
    if reasons is None:
        return None
    return [
        {
            "field": reason["field"],
            "share": reason["share"],
            "principal": reason["principal"],
            "text": reason["text"]["fr" if language == "fr" else "en"],
        }
        for reason in reasons
    ]


def causes_in(causes: StoredCauses, *, language: str) -> list[dict[str, Any]]:
    """Return causes with their texts in one language."""
    return [
        {**cause, "text": cause["text"]["fr" if language == "fr" else "en"]} for cause in causes
    ]


def _features(contents: Contents | NewContents) -> list[dict[str, Any]]:
    """Return each field with its value as entered and as the model sees it."""
    return [
        {"name": name, "value": value, "normalised": contents.normalised[name]}
        for name, value in contents.inputs.items()
    ]
