"""What the operating system gives and refuses: files, the log and standard streams.

Its modules, imports from top to bottom::

    batch_files       the rows in the files of BATCH messages
    installation      where the package was installed from, and what brings an extra
    files             private files, and which paths are fit for them
    logs              the log on stderr: which records are shown, and how
    crashes           what the log says of an exception that nobody expected
    shown             text for a terminal, without control characters
    standard_streams  stdin, stdout and stderr that may be closed
"""
