"""A program that can stand in for `loki -config.file=FILE`: the local Loki at the address the file names."""

from __future__ import annotations

import os
import sys

import yaml


def main() -> None:
    name, _, path = sys.argv[1].partition("=")
    if name != "-config.file" or len(sys.argv) != 2:
        sys.exit(f"unknown arguments {sys.argv[1:]}")
    with open(path, encoding="utf-8") as file:
        settings = yaml.safe_load(file)
    listen = f"{settings['server']['http_listen_address']}:{settings['server']['http_listen_port']}"
    data = settings["common"]["path_prefix"]
    arguments = ["local-loki", "--listen", listen, "--data", data]
    os.execv(sys.executable, [sys.executable, "-m", "incidentlens.cli.main", *arguments])


if __name__ == "__main__":
    main()
