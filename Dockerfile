# One image for every part of compose.yaml; each service says which command it runs.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir uv
WORKDIR /app
COPY . .
RUN uv sync --locked --no-cache
ENV PATH="/app/.venv/bin:$PATH"
