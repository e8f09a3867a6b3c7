"""Runs of detectors kept by MLflow where it is installed: what was tried, with which parameters, how well it did.

Without `MLFLOW_TRACKING_URI` they are kept in the folder `mlruns`; MLflow wants to be told that a folder is meant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXPERIMENT = "incidentlens-anomalies"
_MOST = 200


class TrackingError(Exception):
    """Runs cannot be kept or read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Run:
    """One tracked run. `parameters` has the detector's own; texts, as MLflow keeps them."""

    id: str
    detector: str
    mode: str
    parameters: dict[str, str]
    metrics: dict[str, float]


class Tracker:
    """Keeps and finds runs. TrackingError where MLflow is not installed or cannot reach its store."""

    def __init__(self, uri: str | None = None) -> None:
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise TrackingError(
                "MLflow is not installed, so no run is kept: pip install mlflow-skinny (in an environment of its own)"
            ) from None
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or Path("mlruns").resolve().as_uri()
        if self.uri.startswith("file:"):
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._error = MlflowException
        try:
            self._client: Any = MlflowClient(tracking_uri=self.uri)
            known = self._client.get_experiment_by_name(EXPERIMENT)
            self._experiment = known.experiment_id if known else self._client.create_experiment(EXPERIMENT)
        except (MlflowException, OSError, ImportError) as error:
            raise TrackingError(f"MLflow cannot use {self.uri}: {_first_line(error)}") from None

    def keep(
        self, detector: str, mode: str, parameters: Mapping[str, float | int | str], metrics: Mapping[str, float]
    ) -> str:
        """Keep one run; its id."""
        try:
            run = self._client.create_run(self._experiment, run_name=f"{detector}, {mode}")
            identity = str(run.info.run_id)
            for key, value in {"detector": detector, "mode": mode, **parameters}.items():
                self._client.log_param(identity, key, value)
            for key, number in metrics.items():
                self._client.log_metric(identity, key, number)
            self._client.set_terminated(identity)
        except (self._error, OSError) as error:
            raise TrackingError(f"MLflow cannot keep the run in {self.uri}: {_first_line(error)}") from None
        return identity

    def runs(self) -> list[Run]:
        """All runs (at most 200), best F1 first."""
        try:
            found = self._client.search_runs([self._experiment], order_by=["metrics.f1 DESC"], max_results=_MOST)
        except (self._error, OSError) as error:
            raise TrackingError(f"MLflow cannot read {self.uri}: {_first_line(error)}") from None
        return [
            Run(
                run.info.run_id,
                run.data.params.get("detector", ""),
                run.data.params.get("mode", ""),
                {key: value for key, value in run.data.params.items() if key not in ("detector", "mode")},
                dict(run.data.metrics),
            )
            for run in found
        ]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
