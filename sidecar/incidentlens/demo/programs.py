"""Which of a user's own programs the demo can use: a Grafana with its home and plugin, a Loki."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from .children import DemoError

_NO_PLUGIN = "Grafana's plugin is not built: run `make plugin`, or name its folder with --grafana-plugin"
# Where packages put Grafana's own files when its program is elsewhere.
_HOMES = ("/usr/share/grafana", "/usr/local/share/grafana")


class Unusable(DemoError):
    """An option names something that cannot be used; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class GrafanaProgram:
    """`program` is `grafana` (10 and newer) or `grafana-server` (9); `home` has its conf/ and public/."""

    program: Path
    home: Path
    plugin: Path  # the built plugin: plugin.json, module.js and the launchers

    def command(self, configuration: Path) -> list[str]:
        """How to start its server."""
        server = [] if self.program.name.startswith("grafana-server") else ["server"]
        return [str(self.program), *server, "--homepath", str(self.home), "--config", str(configuration)]


@dataclass(frozen=True, slots=True)
class Programs:
    """What was found; None for what the demo does without. `note`: why a Grafana on the PATH is not used."""

    grafana: GrafanaProgram | None = None
    loki: Path | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line names; with `plain` nothing is looked for on the PATH."""

    grafana: str | None = None
    grafana_home: Path | None = None
    grafana_plugin: Path | None = None
    loki: str | None = None
    plain: bool = False


def find(wanted: Wanted) -> Programs:
    """Look for what is named, and for the rest on the PATH. Raises Unusable only for what was named."""
    loki = _named(wanted.loki, "--loki-program") if wanted.loki else None
    named = wanted.grafana is not None or wanted.grafana_home is not None
    if not wanted.plain and loki is None and (found := shutil.which("loki")):
        loki = Path(found).absolute()
    if wanted.plain and not named:
        return Programs(None, loki)
    try:
        return Programs(_grafana(wanted), loki)
    except Unusable as error:
        if named:
            raise
        return Programs(None, loki, f"there is a Grafana, and it is not used: {error}")


def own_plugin() -> Path:
    """The built plugin of this checkout, there or not."""
    return Path(__file__).resolve().parents[3] / "plugin" / "dist"


def _grafana(wanted: Wanted) -> GrafanaProgram | None:
    if wanted.grafana:
        program: Path | None = _named(wanted.grafana, "--grafana")
    else:
        program = _program_of(wanted.grafana_home)
    if program is None:
        return None
    home = wanted.grafana_home.absolute() if wanted.grafana_home else _home_of(program)
    if home is None or not _is_home(home):
        where = f"{home} has" if home else f"nowhere around {program} are"
        raise Unusable(f"{where} no conf/defaults.ini and public/; name Grafana's folder with --grafana-home")
    plugin = (wanted.grafana_plugin or own_plugin()).absolute()
    if not (plugin / "plugin.json").is_file() or not (plugin / "module.js").is_file():
        raise Unusable(_NO_PLUGIN)
    return GrafanaProgram(program, home, plugin)


def _program_of(home: Path | None) -> Path | None:
    """The program inside that home, or the one on the PATH; `grafana` before the older `grafana-server`."""
    for name in ("grafana", "grafana-server"):
        inside = home.absolute() / "bin" / name if home else None
        if inside is not None and inside.is_file():
            return inside
        if found := shutil.which(name):
            return Path(found).absolute()
    if home is not None:
        raise Unusable(f"neither {home}/bin nor the PATH has a grafana or grafana-server; name it with --grafana")
    return None


def _named(name: str, option: str) -> Path:
    """A program by its path, or by its name on the PATH."""
    found = shutil.which(name)
    if found is None:
        raise Unusable(f"{option}: there is no program {name!r:.200}")
    return Path(found).absolute()


def _home_of(program: Path) -> Path | None:
    real = program.resolve()
    around = [real.parents[1], real.parents[1] / "share" / "grafana", *real.parents[2:4], *map(Path, _HOMES)]
    return next((folder for folder in around if _is_home(folder)), None)


def _is_home(folder: Path) -> bool:
    return (folder / "conf" / "defaults.ini").is_file() and (folder / "public").is_dir()
