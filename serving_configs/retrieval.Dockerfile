# The retrieval service; build it from the root of the repository:
#   docker build -f serving_configs/retrieval.Dockerfile -t tfsage-retrieval .
FROM python:3.11-slim
WORKDIR /app
COPY requirements.lock .
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential \
    && pip install --no-cache-dir --requirement requirements.lock \
    && apt-get purge --yes --auto-remove build-essential && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml requirements.txt README.md ./
COPY tfsage tfsage
COPY export export
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
USER nobody
ENTRYPOINT ["tfsage"]
