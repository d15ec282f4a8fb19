"""`apollo-sync check`: whether a sync with these settings can work, found out without writing.

From pure to I/O: what a sync needs (`needs`), how each endpoint is asked without changing anything
(`probes`), what was found and the exit code (`findings`), how that reads (`report`), the asking
itself (`connection`), the command around it (`command`).
"""
