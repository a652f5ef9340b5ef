"""A FastAPI application that scores with a scikit-learn pipeline, as many services do."""

import os
from typing import Literal

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, Field

THRESHOLD = float(os.environ["THRESHOLD"])
app = FastAPI()
pipeline = joblib.load(os.environ["PIPELINE"])


class Application(BaseModel):
    loan_amount: int = Field(ge=500, le=50_000)
    purchase_price: int = Field(ge=500, le=100_000)
    loan_term_months: int = Field(ge=6, le=72)
    employment_type: Literal["permanent", "temporary", "self_employed", "other"]
    years_in_job: int = Field(ge=0, le=50)
    monthly_income: int | None = Field(default=None, ge=1, le=10_000)
    monthly_expenses: int = Field(ge=0, le=2_000)
    home_status: Literal[
        "owner", "renting", "with_parents", "private_contract", "unknown_contract", "other"
    ]
    assets: int | None = Field(default=None, ge=0, le=2_000_000)
    outstanding_debt: int | None = Field(default=None, ge=0, le=250_000)
    adverse_credit_record: Literal[0, 1]


@app.get("/readyz")
def readyz() -> str:
    return "ready"


@app.post("/decisions", status_code=201)
def decide(application: Application) -> dict[str, str | float]:
    frame = pd.DataFrame([application.model_dump()])
    probability = float(pipeline.predict_proba(frame)[0, 1])
    decision = "granted" if probability >= THRESHOLD else "refused"
    return {"decision": decision, "probability": probability}
