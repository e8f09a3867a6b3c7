# Two images. `sidecar`: IncidentLens itself. `grafana`: Grafana with the data source inside.
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm
ARG NODE_IMAGE=node:22.20.0-bookworm-slim
ARG GRAFANA_IMAGE=grafana/grafana:12.4.2

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /opt/incidentlens \
    && /opt/incidentlens/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY sidecar sidecar
COPY runbooks sidecar/incidentlens/_runbooks
COPY dashboards/json dashboards/json
RUN /opt/incidentlens/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE} AS sidecar
RUN useradd --uid 10001 --create-home incidentlens \
    && mkdir -p /var/lib/incidentlens /run/incidentlens /var/log/sample \
    && chown incidentlens /var/lib/incidentlens /run/incidentlens /var/log/sample
COPY --from=build /opt/incidentlens /opt/incidentlens
ENV PATH=/opt/incidentlens/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /var/lib/incidentlens
EXPOSE 8095 50051
ENTRYPOINT ["incidentlens"]
CMD ["serve", "--config", "/etc/incidentlens/incidentlens.yaml"]

FROM ${NODE_IMAGE} AS plugin
WORKDIR /plugin
COPY plugin/package.json plugin/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY plugin ./
RUN npm run build

FROM ${GRAFANA_IMAGE} AS grafana
COPY --from=plugin /plugin/dist/ /var/lib/grafana-plugins/incidentlens-datasource/
ENV GF_PATHS_PLUGINS=/var/lib/grafana-plugins \
    GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS=incidentlens-datasource \
    GF_PLUGINS_FORWARD_HOST_ENV_VARS=incidentlens-datasource
