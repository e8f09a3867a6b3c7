"""The demo's Loki: a real one where there is a program, else the local one. Both in processes of their own, so that
its queries do not hold up the screen."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from incidentlens.intake.loki import LokiClient, LokiSettings

from .children import Child
from .ports import free_port

PORT = 3100
_LOCAL_WAIT_S, _REAL_WAIT_S = 30.0, 90.0


async def start(folder: Path, program: Path | None) -> tuple[Child, str]:
    """Start it with its data below `folder`; the child, ready, and its URL. Raises DemoError."""
    port = free_port(PORT)
    url = f"http://127.0.0.1:{port}"
    if program is None:
        command = [sys.executable, "-m", "incidentlens.cli.main", "local-loki", "--listen", f"127.0.0.1:{port}"]
        command += ["--data", str(folder / "loki")]
    else:
        path = folder / "loki.yaml"
        path.write_text(yaml.safe_dump(configuration(folder / "loki", port, free_port(0)), sort_keys=False), "utf-8")
        command = [str(program), f"-config.file={path}"]
    name = "Loki" if program else "the local Loki"
    child = await Child.start(name, command, folder / "loki.log")
    try:
        async with LokiClient(LokiSettings(url, max_attempts=1)) as client:
            await child.answers(client.ready, _REAL_WAIT_S if program else _LOCAL_WAIT_S)
    except BaseException:
        await child.stop()
        raise
    return child, url


def configuration(data: Path, port: int, grpc_port: int) -> dict[str, object]:
    """One process, one tenant, loopback only, everything in `data`. In words that Loki 2.9 to 3.x know."""
    return {
        "auth_enabled": False,
        "server": {
            "http_listen_address": "127.0.0.1",
            "http_listen_port": port,
            "grpc_listen_address": "127.0.0.1",
            "grpc_listen_port": grpc_port,
            "log_level": "warn",
        },
        "common": {
            "instance_addr": "127.0.0.1",
            "path_prefix": str(data),
            "replication_factor": 1,
            "ring": {"instance_addr": "127.0.0.1", "kvstore": {"store": "inmemory"}},
            "storage": {
                "filesystem": {"chunks_directory": str(data / "chunks"), "rules_directory": str(data / "rules")}
            },
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2024-01-01",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        # The history is pushed minutes late, and is asked for while it is in memory only.
        "ingester": {
            "query_store_max_look_back_period": -1,
            "lifecycler": {"min_ready_duration": "0s", "final_sleep": "0s"},
        },
        "limits_config": {
            "allow_structured_metadata": True,
            "ingestion_rate_mb": 64,
            "ingestion_burst_size_mb": 128,
            "per_stream_rate_limit": "64MB",
            "per_stream_rate_limit_burst": "128MB",
        },
        "analytics": {"reporting_enabled": False},
    }
