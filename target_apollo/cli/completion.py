"""The command `apollo-sync completion`: prints click's script that completes it in a shell.

The script asks the program itself for the completions, so they always match the commands.
"""

from __future__ import annotations

import sys

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

SHELLS = {"bash": BashComplete, "fish": FishComplete, "zsh": ZshComplete}

_HOW = """\b
Load it for the shell that runs now:
  bash:  source <(apollo-sync completion bash)      (bash 4.4 or newer)
  zsh:   eval "$(apollo-sync completion zsh)"       (after compinit)
  fish:  apollo-sync completion fish | source

\b
For every shell, write it to a file that the shell reads at its start:
  bash:  ~/.local/share/bash-completion/completions/apollo-sync
  zsh:   _apollo-sync, in a folder of $fpath
  fish:  ~/.config/fish/completions/apollo-sync.fish"""


@click.command(epilog=_HOW)
@click.argument("shell", type=click.Choice([*SHELLS]))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Prints a script that completes commands, options and files in a shell."""
    root = context.find_root()
    program = root.info_name or ""
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    sys.stdout.write(SHELLS[shell](root.command, {}, program, variable).source())
    return 0
