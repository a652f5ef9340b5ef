# The service as one image. The first stage installs and trains; the second runs as a user without privileges.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
WORKDIR /app
COPY requirements.lock .
RUN /venv/bin/pip install --quiet --require-hashes -r requirements.lock \
 # Tests, caches and type stubs of the libraries take a third of the space.
 && find /venv -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -rf {} + \
 && find /venv -name '*.pyi' -delete \
 # Babel contains every language; the pages use two.
 && find /venv -path '*/babel/locale-data/*' ! -name root.dat ! -name 'en*' ! -name 'fr*' -delete \
 && /venv/bin/pip uninstall --quiet --yes setuptools pip
COPY ml ml
ARG PRODUCT=consumer_credit
RUN /venv/bin/python -m ml train --product "$PRODUCT" --out models/product
COPY . .
RUN /venv/bin/pybabel -q compile -d webapp/translations \
 # The pages use one style sheet of Bootstrap 5. Only training uses matplotlib, so its caches are not needed.
 && cd /venv/lib/python3*/site-packages \
 && rm -rf flask_bootstrap/static/bootstrap4 flask_bootstrap/static/bootstrap5/icons \
    flask_bootstrap/static/bootstrap5/css/bootswatch flask_bootstrap/static/bootstrap5/css/font \
    flask_bootstrap/static/bootstrap5/css/*.map flask_bootstrap/static/bootstrap5/js flask_bootstrap/static/bootstrap5/umd \
 && find matplotlib fontTools PIL -name __pycache__ -prune -exec rm -rf {} +

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home desk && install -d -m 0700 -o desk /app/instance
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    LOAN_BIND=0.0.0.0:5000 LOAN_BUNDLE=/app/models/product LOAN_INSTANCE=/app/instance
USER 10001
VOLUME /app/instance
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/readyz', timeout=4)"]
CMD ["sh", "-c", "flask --app webapp prepare && exec gunicorn"]
