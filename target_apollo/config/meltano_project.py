"""The Meltano project around the working folder: where it is, and its plugins of this package.

Only names are read from the files of the project. What a setting's value is, Meltano alone can say:
environments, inherited plugins, variables and its database all have a part in it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from target_apollo.config.settings import SettingsError

_PROJECT_FILE = "meltano.yml"
#: Meltano sets it for each process that it starts.
_ROOT_VARIABLE = "MELTANO_PROJECT_ROOT"


class PluginKind(Enum):
    """The kinds of plugins that this package has one of.

    Attributes:
        singular: What Meltano calls one of them.
        package_name: The name of the one in this package.
    """

    EXTRACTOR = "extractors", "tap-apollo-sync"
    LOADER = "loaders", "target-apollo"
    MAPPER = "mappers", "map-apollo-leads"

    def __init__(self, plural: str, package_name: str) -> None:
        self.plural = plural
        self.singular = plural[:-1]
        self.package_name = package_name


@dataclass(frozen=True)
class Project:
    """A Meltano project.

    Attributes:
        root: Its folder.
        declared: The plugins of each kind, as its files declare them.
        files: ``meltano.yml`` and the files that it includes.
    """

    root: Path
    declared: Mapping[PluginKind, Sequence[Mapping[str, Any]]] = field(repr=False)
    files: Sequence[Path] = ()

    @classmethod
    def around_here(cls) -> Project | None:
        """The project of Meltano's own variable, else of the working folder or those above it.

        Raises:
            SettingsError: A file of the project can't be read.
        """
        try:
            return cls.around(Path.cwd())
        except FileNotFoundError:
            # The working folder is gone, which the check of the settings says.
            return None

    @classmethod
    def around(cls, folder: Path) -> Project | None:
        """The project of Meltano's own variable, else of a folder or those above it.

        Raises:
            SettingsError: A file of the project can't be read.
        """
        named = os.environ.get(_ROOT_VARIABLE)
        places = [Path(named)] if named else [folder, *folder.parents]
        root = next((place for place in places if (place / _PROJECT_FILE).is_file()), None)
        if root is None:
            return None
        contents = {root / _PROJECT_FILE: _content(root / _PROJECT_FILE)}
        patterns = contents[root / _PROJECT_FILE].get("include_paths")
        for pattern in patterns if isinstance(patterns, list) else ():
            for path in _included(root, str(pattern)):
                # A file that fits several patterns counts once.
                if path not in contents:
                    contents[path] = _content(path)
        declared = {kind: list(_plugins(contents.values(), kind)) for kind in PluginKind}
        return cls(root, declared, tuple(contents))

    def own_plugins(self, kind: PluginKind) -> list[str]:
        """The names of the plugins of a kind that run this package, inherited ones too."""
        return own_plugins(self.declared[kind], kind)

    def other_extractors(self) -> list[str]:
        """The names of the extractors whose rows a run may send."""
        own = self.own_plugins(PluginKind.EXTRACTOR)
        names = (plugin["name"] for plugin in self.declared[PluginKind.EXTRACTOR])
        return [name for name in names if name not in own]

    def mapping_values(self, mapper: str, setting: str) -> set[str]:
        """The values that the mappings of a mapper give to a setting."""
        found: set[str] = set()
        for plugin in self.declared[PluginKind.MAPPER]:
            mappings = plugin.get("mappings")
            if plugin["name"] != mapper or not isinstance(mappings, list):
                continue
            configs = (one.get("config") for one in mappings if isinstance(one, dict))
            found |= {
                str(config[setting])
                for config in configs
                if isinstance(config, dict) and config.get(setting) is not None
            }
        return found


def own_plugins(declared: Iterable[Mapping[str, Any]], kind: PluginKind) -> list[str]:
    """The names of the declared plugins that run the plugin of this package. Pure.

    One does if its name, its namespace or its executable is that of the package, or if it inherits
    from one that does.
    """
    plugins = list(declared)
    own: list[str] = []
    while True:
        more = [
            plugin["name"]
            for plugin in plugins
            if plugin["name"] not in own and _is_own(plugin, kind.package_name, own)
        ]
        if not more:
            return own
        own += more


def _is_own(plugin: Mapping[str, Any], package_name: str, own: Collection[str]) -> bool:
    return (
        plugin["name"] == package_name
        or plugin.get("namespace") == package_name.replace("-", "_")
        or Path(str(plugin.get("executable") or "")).name == package_name
        or plugin.get("inherit_from") in (package_name, *own)
    )


def _included(root: Path, pattern: str) -> list[Path]:
    try:
        return sorted(root.glob(pattern))
    except (NotImplementedError, ValueError):
        raise SettingsError(
            [f"The file {root / _PROJECT_FILE} of the Meltano project has an entry of "
             "include_paths that is no pattern of paths in the project."]
        ) from None  # fmt: skip


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = msgspec.yaml.decode(path.read_bytes())
    except OSError as problem:
        why = f"can't be read: {problem.strerror}"
    except (msgspec.DecodeError, ValueError, RecursionError):
        # The parser's own text shows lines of the file, where a secret may be.
        why = "is no YAML: `meltano config list target-apollo` says in which line"
    else:
        return content if isinstance(content, dict) else {}
    raise SettingsError([f"The file {path} of the Meltano project {why}."])


def _plugins(files: Iterable[Mapping[str, Any]], kind: PluginKind) -> Iterable[Mapping[str, Any]]:
    for content in files:
        plugins = content.get("plugins")
        declared = plugins.get(kind.plural) if isinstance(plugins, dict) else None
        for plugin in declared if isinstance(declared, list) else ():
            if isinstance(plugin, dict) and plugin.get("name"):
                # A name may look like a number.
                yield {**plugin, "name": str(plugin["name"])}
