# The image of all Python services of docker-compose.yml; each is started with its own command.
ARG PYTHON_IMAGE=python:3.13.16-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY otelctx otelctx
# Compiled once here, and not by every container at every start.
RUN python -m venv /opt/otelctx && /opt/otelctx/bin/pip install --no-cache-dir --compile '.[demo]'

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/otelctx /opt/otelctx
ENV PATH=/opt/otelctx/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# What the collector has not taken waits here; a volume over it begins with its owner and mode.
RUN install --directory --mode=700 --owner=10001 --group=10001 /var/lib/otelctx
ENV OTELCTX_SPOOL_DIRECTORY=/var/lib/otelctx/spool
WORKDIR /tmp
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
CMD ["otelctx", "--help"]
