"""Whatever comes over the wire is read or refused in a sentence."""

from __future__ import annotations

import contextlib

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from incidentlens.grafana import resources
from incidentlens.grafana.auth import Refused, settings_of
from incidentlens.grafana.pb import pluginv2_pb2 as v2

texts = st.text(st.characters(codec="utf-8"), max_size=60)
paths = st.one_of(texts, st.text("./%?#\\ \r\n;:@éa0", max_size=40))


@settings(deadline=None, max_examples=300)
@given(path=paths, url=paths, method=st.one_of(st.sampled_from(["GET", "post"]), texts), name=texts, value=texts)
def test_a_resource_call_stays_below_the_api_and_its_request_can_be_sent(
    path: str, url: str, method: str, name: str, value: str
) -> None:
    asked = v2.CallResourceRequest(path=path, url=url, method=method)
    asked.headers[name].values.append(value)
    asked.headers["Content-Type"].values.append(value)
    with contextlib.suppress(Refused):
        request = resources._asked(asked)
        assert request.url.raw_path.startswith(b"/api/")
        if "#" not in url:
            assert request.url.path.removeprefix("/api/") == path.strip("/")
        assert request.url.host == "127.0.0.1"
        for part in httpx.URL(str(request.url)).path.split("/")[2:]:
            assert part not in ("", ".", "..")


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.binary(max_size=200), texts.map(lambda text: f'{{"project": "{text}", "lokiUid": 1}}'.encode())))
def test_settings_are_read_or_refused(raw: bytes) -> None:
    of = v2.PluginContext(dataSourceInstanceSettings=v2.DataSourceInstanceSettings(jsonData=raw))
    with contextlib.suppress(Refused):
        found = settings_of(of)
        assert found.project is None or found.project == found.project.strip()
        assert found.loki_uid == ""
