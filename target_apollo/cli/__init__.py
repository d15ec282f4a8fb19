"""`apollo-sync`: the commands around the target, as one click group.

Each module in `COMMANDS` has a click command called `command`, which returns the exit code. A
module is imported when its command is called, so a command does not wait for the imports of
another, and `--help` and the completion of command names import none.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from target_apollo.system.installation import EXTRAS, how_to_install

NAME = "apollo-sync"

_INTERRUPTED = 130


@dataclass(frozen=True)
class Entry:
    """A command before it is imported.

    Attributes:
        summary: Its line in the help of the group.
        module: The module with the click command `command`.
        extra: The extra of this package that the module needs; empty: none.
    """

    summary: str
    module: str
    extra: str = ""

    def load(self) -> click.Command:
        """Imports the command.

        Raises:
            ModuleNotFoundError: A package is missing, perhaps because the extra is not installed.
        """
        command: click.Command = importlib.import_module(self.module).command
        return command

    def lacks_extra(self, missing: ModuleNotFoundError) -> bool:
        """Whether a module is missing because the extra is not installed."""
        return (missing.name or "").partition(".")[0] in EXTRAS.get(self.extra, ())


COMMANDS: Mapping[str, Entry] = {
    "adopt": Entry(
        "link rows to records that Apollo has, and write nothing there",
        "target_apollo.cli.adopt",
    ),
    "check": Entry(
        "say whether a sync can work, and what it would refuse",
        "target_apollo.cli.check.command",
    ),
    "completion": Entry(
        "print a script that completes commands in a shell", "target_apollo.cli.completion"
    ),
    "definition": Entry(
        "print a plugin's definition, for meltano add --from-ref",
        "target_apollo.cli.definition.command",
    ),
    "explain": Entry("say why map-apollo-leads did not send a lead", "target_apollo.cli.explain"),
    "fields": Entry(
        "list what can be mapped; make custom fields that are missing",
        "target_apollo.cli.fields.command",
    ),
    "login": Entry(
        "log in with OAuth 2.0 in a browser, instead of an API key",
        "target_apollo.cli.login.command",
    ),
    "plan": Entry(
        "say what a run would do with Singer messages, and write nothing", "target_apollo.cli.plan"
    ),
    "probe": Entry(
        "see how a team's Apollo behaves where its docs are silent",
        "target_apollo.cli.probe.command",
    ),
    "project": Entry(
        "print a sync from PostgreSQL for a new Meltano project",
        "target_apollo.cli.definition.project",
    ),
    "replay": Entry(
        "send rejected records again; what succeeds leaves their file", "target_apollo.cli.replay"
    ),
    "report": Entry(
        "show the last runs, one of them in detail, also as a page", "target_apollo.cli.report"
    ),
    "results": Entry(
        "print what became of each row, as a Singer tap for the warehouse",
        "target_apollo.tap.command",
    ),
    "sandbox": Entry(
        "start a local Apollo to try, test and measure with",
        "target_apollo.sandbox.command",
        extra="sandbox",
    ),
}


class _LazyGroup(click.Group):
    """The commands in `COMMANDS`, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        try:
            return entry.load()
        except ModuleNotFoundError as missing:
            if not entry.lacks_extra(missing):
                raise
            if ctx.resilient_parsing:
                # A shell completes a command line: the command exists, its options are unknown.
                return click.Command(cmd_name)
            ctx.fail(
                f"{NAME} {cmd_name} needs the extra '{entry.extra}': {how_to_install(entry.extra)}"
            )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # The base class of the group would import every command for its help.
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    cls=_LazyGroup,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"{NAME} COMMAND --help says what a command takes.",
)
@click.version_option(
    package_name="target-apollo", message="%(prog)s %(version)s", help="print the version"
)
def apollo_sync() -> None:
    """Commands around target-apollo, which syncs a warehouse into Apollo.io."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `apollo-sync`; returns the exit code, which is 2 for wrong usage.

    Args:
        arguments: The command line without the program's name; None: that of the process.
    """
    try:
        return int(apollo_sync.main(arguments, prog_name=NAME, standalone_mode=False) or 0)
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except click.Abort:
        return _INTERRUPTED
