# One image for both roles: `clipfold worker` and `clipfold serve`. Build: docker build -t clipfold .
FROM python:3.11-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /usr/local/bin/uv
WORKDIR /opt/clipfold
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY topics topics
COPY stream_app stream_app
COPY projections projections
# From the lock file alone, without the embedded Kafka and without what tests need.
RUN UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy uv sync --frozen --no-editable --compile-bytecode

FROM python:3.11-slim-bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends bubblewrap fonts-dejavu-core fonts-noto-core \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/clipfold/.venv /opt/clipfold/.venv
COPY media/fallback /srv/clipfold/media/fallback
RUN useradd --uid 10001 --home-dir /var/lib/clipfold clipfold \
 && mkdir -p /var/lib/clipfold/artifacts \
 && chown -R clipfold:clipfold /var/lib/clipfold
ENV PATH=/opt/clipfold/.venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /var/lib/clipfold
USER 10001:10001
EXPOSE 8080 9108
STOPSIGNAL SIGTERM
ENTRYPOINT ["clipfold"]
CMD ["worker"]
