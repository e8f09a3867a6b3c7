"""Loki's rules API: a namespace's groups in and out (`/loki/api/v1/rules/{namespace}`)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from incidentlens.intake.errors import LokiError, LokiNotLoki, LokiRefused
from incidentlens.intake.loki import LokiClient

from .build import RulerError
from .model import Group, RuleYamlError, group_yaml, read_namespaces
from .plan import Change

_BASE = "/loki/api/v1/rules"
_YAML = "application/yaml"
# How Loki says that there are none; any other 404 is an API that is not there.
_NONE = ("no rule groups found", "group namespace does not exist")
_READ_ONLY = ("unsupported in rule local store", "read-only", "read only", "not implemented")


class RulerClient:
    """One tenant's rules, over a client of its Loki. Raises LokiError, and RulerError where the ruler cannot serve."""

    def __init__(self, loki: LokiClient) -> None:
        self._loki = loki

    async def groups(self, namespace: str) -> list[Group]:
        """The groups of one namespace, in the ruler's order; none is an empty list."""
        try:
            body = await self._loki.send("GET", self._path(namespace))
        except LokiError as error:
            if isinstance(error, LokiRefused) and error.status == 404 and any(text in str(error) for text in _NONE):
                return []
            raise self._explained(error) from error
        try:
            return read_namespaces(body).get(namespace, [])
        except RuleYamlError as error:
            raise LokiNotLoki(f"what {self._loki.settings.url} lists as rules {error}; is loki.url right?") from error

    async def put(self, namespace: str, group: Group) -> None:
        """Write one group in the place of one of the same name."""
        body = group_yaml(group).encode()
        try:
            await self._loki.send("POST", self._path(namespace), content=body, content_type=_YAML)
        except LokiError as error:
            raise self._explained(error) from error

    async def delete(self, namespace: str, name: str) -> None:
        """Take one group away; one that is not there is no error."""
        if "/" in name:
            raise RulerError(
                f"Loki's API cannot name the group {name!r} because of its slash: take it away where it was made, or "
                f"the whole namespace with DELETE {self._path(namespace)}"
            )
        try:
            await self._loki.send("DELETE", self._path(namespace, name))
        except LokiError as error:
            if isinstance(error, LokiRefused) and error.status == 404 and "does not exist" in str(error):
                return
            raise self._explained(error) from error

    async def apply(self, namespace: str, changes: Sequence[Change], *, force: bool = False) -> list[Change]:
        """Carry out the changes (those kept back only with `force`); gives those that were written.

        Writes come before removals, so a rule that moves to another group is never missing.
        """
        due = [change for change in changes if change.writes(force)]
        for change in due:
            if change.wanted is not None:
                await self.put(namespace, change.wanted)
        for change in due:
            if change.wanted is None:
                await self.delete(namespace, change.name)
        return due

    @staticmethod
    def _path(*parts: str) -> str:
        return "/".join((_BASE, *(quote(part, safe="") for part in parts)))

    def _explained(self, error: LokiError) -> Exception:
        """Loki's complaint with what to do about it, where that is known."""
        said = str(error)
        lowered = said.lower()
        if any(text in lowered for text in _READ_ONLY):
            return RulerError(
                f"{said}; this ruler's store is read-only: use `incidentlens rules export`, and put the files into its "
                "folder, or give Loki a ruler_storage it can write"
            )
        if "per rule group limit" in lowered:
            return RulerError(f"{said}; set ruler.rules_per_group of the project to that limit")
        if "rule groups limit" in lowered:
            return RulerError(f"{said}; raise ruler_max_rule_groups_per_tenant in Loki, or switch kinds of rules off")
        if isinstance(error, LokiRefused) and error.status == 404:
            return RulerError(f"{said}; the ruler's API is not there: set ruler.enable_api and ruler_storage in Loki")
        return error
