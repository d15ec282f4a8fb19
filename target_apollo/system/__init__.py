"""What the operating system gives and refuses: files, the log and standard streams.

Its modules, imports from top to bottom::

    files             private files, and which paths are fit for them
    logs              the log on stderr: which records are shown, and how
    machine           sentences for what the machine refuses: memory, threads, open files
    shown             text for a terminal, without control characters
    standard_streams  stdin, stdout and stderr that may be closed
"""
