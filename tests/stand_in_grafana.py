"""A program that can stand in for `grafana server`: it reads the ini file it is given, answers the part of the API that
provisioning uses, and, once a rule is made, asks the data source each second what is open and tells the contact points.

Run as `python stand_in_grafana.py [server] --homepath DIR --config FILE`. What happened to it is written, a line each,
to the file that STAND_IN_EVENTS names.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import signal
import smtplib
import sys
import threading
import time
import urllib.request
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
from fake_grafana_admin import FakeGrafanaAdmin
from incidentlens.grafana.pb import pluginv2_pb2 as v2

ACCOUNTS = "/api/serviceaccounts"


def happened(what: str) -> None:
    with open(os.environ["STAND_IN_EVENTS"], "a", encoding="utf-8") as events:
        events.write(f"{time.time():.3f} {what}\n")


class Web(BaseHTTPRequestHandler):
    admin = FakeGrafanaAdmin("9.4.0")
    mail = ""  # host:port

    def _do(self) -> None:
        path = self.path.partition("?")[0]
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        if path == "/api/health":
            status, answer = 200, {"version": "9.4.0", "database": "ok"}
        elif path == f"{ACCOUNTS}/search":
            status, answer = 200, {"serviceAccounts": []}
        elif path == ACCOUNTS:
            status, answer = 201, {"id": 7}
        elif path == f"{ACCOUNTS}/7/tokens":
            status, answer = 200, {"key": "glsa_stand_in"} if self.command == "POST" else []
        elif path.startswith("/api/annotations"):
            status, answer = 200, {"id": 1, "message": "ok"} if self.command == "POST" else []
        elif path.startswith("/api/alertmanager/"):
            status, answer = 200, []
        else:
            status, answer = self.admin._answer(self.command, path, body)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do

    def log_message(self, *_: object) -> None:
        pass


def open_alerts(address: str) -> dict[str, dict[str, str]]:
    """The labels of what is open, by incident and disposition."""
    source = v2.DataSourceInstanceSettings(uid="incidentlens", jsonData=b'{"project":"shop"}')
    asked = v2.QueryDataRequest(
        pluginContext=v2.PluginContext(orgId=1, dataSourceInstanceSettings=source),
        queries=[v2.DataQuery(refId="A", queryType="open_alerts", json=b'{"queryType":"open_alerts"}')],
    )
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/pluginv2.Data/QueryData",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=v2.QueryDataResponse.FromString,
        )
        answer = call(asked, timeout=10).responses["A"]
    if answer.error:
        raise RuntimeError(answer.error)
    rows = [row for frame in answer.frames for row in pa.ipc.open_file(frame).read_all().to_pylist()]
    return {f"{row['incident_id']} {row['disposition']}": row for row in rows}


def tell(labels: dict[str, str], said: str) -> None:
    """As the message templates do, to the contact point of the disposition."""
    uid = {
        "ESCALATE": "incidentlens-escalate", "NEEDS_DEV": "incidentlens-dev", "NEEDS_ONCALL": "incidentlens-oncall",
    }.get(labels["disposition"])  # fmt: skip
    point = next(each for each in Web.admin.things["contact-points"].values() if each["uid"] == uid)
    rule = next(iter(Web.admin.rules.values()))
    link = rule["annotations"]["incident_url"].replace("{{ $labels.incident_id }}", labels["incident_id"])
    title = f"{said}: {labels['title']}"[:256]
    if point["type"] == "email":
        mail = EmailMessage()
        mail["To"], mail["From"], mail["Subject"] = point["settings"]["addresses"], "grafana@example.com", title
        mail.set_content(link)
        with smtplib.SMTP(*Web.mail.split(":"), timeout=5) as server:
            server.send_message(mail)
        return
    body = {"embeds": [{"title": title}], "content": f"[Incident]({link})"}
    request = urllib.request.Request(
        point["settings"]["url"], json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5):
        pass


def evaluate(address: str, ended: threading.Event) -> None:
    known: dict[str, dict[str, str]] = {}
    while not ended.wait(1):
        if not Web.admin.rules:
            continue
        try:
            rows = open_alerts(address)
        except Exception as error:
            happened(f"error {error}")
            continue
        try:
            now = {key: row for key, row in rows.items() if float(row["value"]) > 0}
            for key in now.keys() - known.keys():
                tell(now[key], now[key]["disposition"])
            for key in known.keys() - now.keys():
                tell(known[key], "Raised" if key in rows else "Resolved")
        except Exception as error:
            happened(f"error {error!r}")
        known = now


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server", nargs="?", choices=["server"])
    parser.add_argument("--homepath", required=True)
    parser.add_argument("--config", required=True)
    given = parser.parse_args()
    happened(f"arguments {json.dumps(sys.argv[1:])}")
    happened(f"environment {json.dumps(sorted(name for name in os.environ if name.startswith('GF_')))}")
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(given.config)
    happened(f"mode {Path(given.config).stat().st_mode & 0o777:o}")
    happened(f"configuration {json.dumps({name: dict(settings[name]) for name in settings.sections()})}")
    plugin = Path(settings["paths"]["plugins"]) / "incidentlens-datasource" / "plugin.json"
    happened(f"plugin {plugin.is_file()}")
    if os.environ.get("STAND_IN_FAILS"):
        sys.exit("cannot migrate the database")
    Web.mail = settings["smtp"]["host"]
    ended = threading.Event()
    server = ThreadingHTTPServer((settings["server"]["http_addr"], int(settings["server"]["http_port"])), Web)
    server.daemon_threads = True

    def stop(*_: object) -> None:
        happened("stopped")
        ended.set()
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    address = settings["plugin.incidentlens-datasource"]["address"]
    threading.Thread(target=evaluate, args=(address, ended), daemon=True).start()
    happened("started")
    server.serve_forever()
    happened("ended")


if __name__ == "__main__":
    main()
