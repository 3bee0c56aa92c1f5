FROM python:3.12.12-slim-trixie

# A C compiler, with which Triton makes a GPU's kernels when they are first used.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 stsg && mkdir /data /state && chown stsg /data /state
# What a container keeps for itself: scratch files, a training at work, copies of models.
ENV STSG_HOME=/state
WORKDIR /app

# The dependencies first: they change rarely and are large.
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock

COPY pyproject.toml README.md ./
COPY model model
COPY graphdb graphdb
COPY trainer trainer
COPY workers workers
COPY api api
RUN pip install --no-cache-dir --no-build-isolation --no-deps --editable .

USER stsg
EXPOSE 8000
CMD ["uvicorn", "api.app:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "5"]
