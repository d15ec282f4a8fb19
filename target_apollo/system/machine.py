"""What a machine, a shell or a container may refuse a process, as a sentence: no defects.

Too little memory, too few threads or open files, a full disk, a working directory that is gone.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

_OPEN_FILES = "too many files are open; raise the limit of open files (`ulimit -n`)"
#: Reasons whose usual words do not say what to do.
_REASONS = {errno.EMFILE: _OPEN_FILES, errno.ENFILE: _OPEN_FILES}
_NO_THREAD = "can't start new thread"


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


def _chain(problem: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    error: BaseException | None = problem
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
