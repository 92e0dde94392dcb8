# syntax=docker/dockerfile:1
# The image holds the relay and control, on any base with Python 3.11 or newer: --build-arg BASE=...
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
# The relay is compiled: a request costs a fifth less than interpreted.
# hadolint ignore=DL3008
RUN command -v cc > /dev/null \
    || (apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*)
WORKDIR /src
COPY requirements/runtime.txt requirements/runtime.txt
RUN python3 -m venv /opt/eqwatch \
    && /opt/eqwatch/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY middleware middleware
COPY scorer scorer
COPY examples examples
RUN EQWATCH_COMPILE=1 /opt/eqwatch/bin/python -m pip install --no-cache-dir --no-build-isolation --no-deps . \
    && /opt/eqwatch/bin/python -m pip uninstall --yes --quiet hatchling editables mypy mypy-extensions librt setuptools

FROM ${BASE}
RUN useradd --uid 10001 --user-group --home-dir /var/lib/eqwatch --create-home --shell /usr/sbin/nologin eqwatch
COPY --from=build /opt/eqwatch /opt/eqwatch
ENV PATH=/opt/eqwatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EQWATCH_DATA_DIR=/var/lib/eqwatch
USER 10001:10001
WORKDIR /var/lib/eqwatch
VOLUME ["/var/lib/eqwatch"]
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# The data listener is for the application beside it; the admin listener stays on loopback until a token is set.
ENTRYPOINT ["eqwatch"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
