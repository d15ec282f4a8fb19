"""What the log says of an exception that nobody expected: a refusal of the machine, or a defect.

A machine, a shell or a container may refuse a process memory, threads, open files, room on the disk
or its working directory. That is a sentence for whoever runs it; anything else is a defect. Only
the standard library is imported here, since a machine in trouble may let nothing more be loaded.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator

from target_apollo.system.shown import Lines

_OPEN_FILES = "too many files are open; raise the limit of open files (`ulimit -n`)"
#: Reasons whose usual words do not say what to do.
_REASONS = {errno.EMFILE: _OPEN_FILES, errno.ENFILE: _OPEN_FILES}
_NO_THREAD = "can't start new thread"


def text_of(problem: BaseException) -> str:
    """A sentence where the machine caused the exception, else `defect_text`."""
    return trouble_of(problem) or defect_text(problem)


def trouble_of(problem: BaseException) -> str | None:
    """A sentence for an exception that the machine caused; None for any other, such as a defect.

    The exceptions that led to it count too.
    """
    for one in _chain(problem):
        if isinstance(one, MemoryError):
            return (
                "The memory that this machine, or its container, gives the process is used up: "
                "give it more, and run again."
            )
        if isinstance(one, RuntimeError) and _NO_THREAD in str(one):
            return (
                "The system lets the process start no further thread: raise its limit of processes "
                "(`ulimit -u`, or that of the container), or lower parallel_requests."
            )
        # Exceptions of libraries that are derived from OSError have no number.
        if isinstance(one, OSError) and one.errno is not None:
            return f"The system refused the process what it needs: {reason_of(one)}."
    return None


def reason_of(problem: OSError) -> str:
    """Why the system refused something, with the file if it is about one; no full stop."""
    reason = _REASONS.get(problem.errno or 0) or problem.strerror or type(problem).__name__
    return f"{reason} ({problem.filename})" if isinstance(problem.filename, str) else reason


def defect_text(defect: BaseException) -> Lines:
    """The traceback of an exception, without its message, which may show a value.

    Exceptions that led to it come first.
    """
    chain = "\nwhich led to\n".join(reversed([_trace(one) for one in _chain(defect)]))
    return Lines(
        "A defect of target-apollo ended the run. Nothing is lost: run it again. If it comes back, "
        f"report these lines, which hold no values:\n{chain}"
    )


def _trace(error: BaseException) -> str:
    lines = [
        f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return "\n".join([*lines, f"{type(error).__module__}.{type(error).__qualname__}"])


def _chain(problem: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    error: BaseException | None = problem
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
