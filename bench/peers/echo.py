"""A Flask application that answers with what it was sent; with STORE, it first inserts one row."""

import os
import threading
from typing import Any

from flask import Flask, Response, jsonify, request

STORE = os.environ.get("STORE", "")  # empty, the path of a SQLite file or the URL of PostgreSQL
app = Flask(__name__)
local = threading.local()


def sqlite_connection() -> Any:
    if not hasattr(local, "connection"):
        import pysqlite3  # noqa: PLC0415 - the bare echo needs no database

        local.connection = pysqlite3.connect(STORE, timeout=30, isolation_level=None)
        local.connection.execute("PRAGMA journal_mode=WAL")
        local.connection.execute("PRAGMA synchronous=FULL")
    return local.connection


def insert_into_sqlite(body: str) -> int:
    return sqlite_connection().execute("INSERT INTO echoes (body) VALUES (?)", (body,)).lastrowid


def insert_into_postgresql(body: str) -> int:
    if not hasattr(local, "connection"):
        import psycopg  # noqa: PLC0415 - the same

        local.connection = psycopg.connect(STORE, autocommit=True)
    insert = "INSERT INTO echoes (body) VALUES (%s) RETURNING id"
    return local.connection.execute(insert, (body,)).fetchone()[0]


insert = insert_into_postgresql if STORE.startswith("postgresql") else insert_into_sqlite


@app.get("/readyz")
def readyz() -> str:
    return "ready"


@app.post("/decisions")
def echo() -> Response | tuple[Response, int]:
    application = request.get_json()
    if not STORE:
        return jsonify(application)
    return jsonify(application | {"id": insert(request.get_data(as_text=True))}), 201
