# Runs the worker, or any other `resegment` command. Every package is checked against the hashes in
# requirements.lock; packages that only tests need are not installed. The core is compiled.
FROM python:3.11.14-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
WORKDIR /src
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock
COPY . .
RUN RESEGMENT_COMPILE=1 pip wheel --no-index --find-links /wheels --no-deps --wheel-dir /wheels . \
    && python -m venv /opt/resegment \
    && /opt/resegment/bin/pip install --no-index --find-links /wheels 'resegment[fast,oidc,s3,tables,tracing]'

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home resegment
COPY --from=build /opt/resegment /opt/resegment
COPY examples /examples
ENV PATH=/opt/resegment/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RESEGMENT_HTTP_HOST=0.0.0.0 \
    RESEGMENT_LOG_FORMAT=json \
    RESEGMENT_SEGMENTS=/examples/segments.yaml
USER 10001
WORKDIR /examples
EXPOSE 8300
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as http; http.urlopen('http://127.0.0.1:' + os.environ.get('RESEGMENT_HTTP_PORT', '8300') + '/healthz', timeout=4)"]
ENTRYPOINT ["resegment"]
CMD ["worker"]
