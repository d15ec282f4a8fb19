"""The command `apollo-sync definition`: a plugin of this package as `meltano add` takes it.

The definitions are files beside this module, made by ``python -m docs.tools.hub_definition``. What
Meltano is to install is put in here, since it depends on where this package came from.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import click

from target_apollo.cli.options import ApolloCommand, CommandFailed
from target_apollo.sync.exit import MISCONFIGURED, OK
from target_apollo.system.installation import Source, extras_installed, own_source

PLUGINS: Final = MappingProxyType(
    {"extractor": "tap-apollo-sync", "loader": "target-apollo", "mapper": "map-apollo-leads"}
)
_PIP_URL: Final = re.compile(r"^pip_url: .*$", re.MULTILINE)
#: It is for the commands around the plugins.
_NOT_FOR_PLUGINS: Final = frozenset({"sandbox"})


@click.command(
    cls=ApolloCommand,
    epilog="""\b
Add the loader to the Meltano project of this folder, with all its settings (bash, zsh):
  meltano add --plugin-type loader --from-ref <(apollo-sync definition loader) target-apollo

\b
Exit codes: 0 printed; 2 it is not known where this package was installed from.""",
)
@click.argument("kind", type=click.Choice([*PLUGINS]))
@click.option(
    "--pip-url",
    metavar="WHAT",
    help="what Meltano installs (default: where this package was installed from, with the extras "
    "that are installed here)",
)
def command(kind: str, pip_url: str | None) -> int:
    """Prints the definition of a plugin of this package, for meltano add --from-ref."""
    wanted = pip_url if pip_url is not None else own_pip_url()
    sys.stdout.write(definition(kind, wanted))
    return OK


def definition(kind: str, pip_url: str) -> str:
    """The definition of a plugin as YAML.

    Args:
        kind: One of `PLUGINS`.
        pip_url: What Meltano installs, as pip's command line has it.
    """
    text = files(__package__).joinpath(f"{PLUGINS[kind]}.yml").read_text(encoding="utf-8")
    line = f"pip_url: {json.dumps(pip_url, ensure_ascii=False)}"
    return _PIP_URL.sub(lambda _: line, text, count=1)


def pip_url_of(source: Source, extras: list[str]) -> str:
    """What Meltano installs, so that a plugin has what this installation has."""
    requirement = source.requirement([name for name in extras if name not in _NOT_FOR_PLUGINS])
    # Meltano splits it as a shell does.
    quoted = f"'{requirement}'" if re.search(r"\s", requirement) else requirement
    return f"-e {quoted}" if source.editable else quoted


def own_pip_url() -> str:
    """What Meltano installs to have this installation's package, with its extras.

    Raises:
        CommandFailed: Where this package came from is gone.
    """
    source = own_source()
    if source is None:
        raise CommandFailed(
            "Where target-apollo was installed from is gone, so Meltano can't install it from "
            "there: name the folder, wheel or address with --pip-url.",
            exit_code=MISCONFIGURED,
        )
    return pip_url_of(source, extras_installed())
