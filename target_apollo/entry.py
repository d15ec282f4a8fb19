"""The entry points of the package's commands: how a process begins and ends.

They import next to nothing before signals have a handler and standard streams are safe: the imports
take a second, in which a process may be stopped already.
"""

from __future__ import annotations

import os
import signal
import sys

# The module `typing` is not imported, for the same reason.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import NoReturn

_FAILED = 1
_SIGNALLED = 128


def target() -> NoReturn:
    """Runs ``target-apollo``."""
    _run("target-apollo", "target_apollo.target.target")


def mapper() -> NoReturn:
    """Runs ``map-apollo-leads``."""
    _run("map-apollo-leads", "target_apollo.mapper.mapper")


def tap() -> NoReturn:
    """Runs ``tap-apollo-sync``."""
    _run("tap-apollo-sync", "target_apollo.tap.command")


def cli() -> NoReturn:
    """Runs ``apollo-sync``."""
    _run("apollo-sync", "target_apollo.cli")


def _run(program: str, module: str) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell has processes in the background ignore Ctrl-C: leave that as it is.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)

    from target_apollo.system import standard_streams

    standard_streams.prepare()
    exit_code = _exit_code_of(program, module)
    unwritten = standard_streams.finish()
    if unwritten is not None and exit_code == 0:
        _say(program, standard_streams.why_unwritable(unwritten))
        exit_code = _FAILED
    sys.exit(exit_code)


def _exit_code_of(program: str, module: str) -> int:
    from target_apollo.system import standard_streams

    try:
        main = _imported(module).main
        if any(name.endswith("LOGLEVEL") for name in os.environ):
            from target_apollo.system import logs

            for sentence in logs.replace_unknown_levels():
                _say(program, sentence)
        return int(main() or 0)
    except SystemExit as ending:
        # Click ends in silence where nobody reads the output any more.
        if type(sys.stdout).__name__ == "PacifyFlushWrapper":
            _say(program, standard_streams.why_unwritable(BrokenPipeError()))
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except Exception as problem:  # noqa: BLE001 - its own words may show a value
        refused = standard_streams.refused()
        if refused is not None:
            _say(program, standard_streams.why_unwritable(refused))
        else:
            from target_apollo.system.crashes import text_of

            _say(program, text_of(problem))
    return _FAILED


def _imported(module: str) -> ModuleType:
    import gc
    import importlib

    # All that the imports make stays: looking for garbage in it would be a tenth of their time.
    gc.disable()
    imported = importlib.import_module(module)
    gc.freeze()
    gc.enable()
    return imported


def _say(program: str, sentence: str) -> None:
    import logging

    if logging.getLogger().handlers:
        logging.getLogger(program).error("%s", sentence)
    else:
        sys.stderr.write(f"{sentence}\n")


def _end_at_once(signal_number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """Ends a process that has not begun its work, or does none that must be finished."""
    os._exit(_SIGNALLED + signal_number)
