# One image for every part of compose.yaml; each service says which command it runs. uv and the sources are mounted
# while it is built, and are not in it.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home --user-group midwatch \
    # A volume takes after the folder that it covers, owner included.
    && install -d -o midwatch -g midwatch /journal /robots /telemetry
ARG UV_COMPILE_BYTECODE=1
RUN --mount=type=bind,from=ghcr.io/astral-sh/uv:0.13.9,source=/uv,target=/usr/local/bin/uv \
    --mount=type=bind,source=.,target=/source \
    --mount=type=cache,target=/root/.cache/uv \
    UV_PROJECT_ENVIRONMENT=/app/.venv UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never uv sync --project /source --locked \
    --no-dev --no-editable --all-packages --extra receiver --extra postgresql --extra slack \
    --no-install-package midwatch-bench
WORKDIR /app
COPY steering steering
COPY examples/compose examples/compose
ENV PATH="/app/.venv/bin:$PATH" HEALTH_URL=http://127.0.0.1:8000/healthz
USER midwatch
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=3)"]
