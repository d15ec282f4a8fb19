"""A local Apollo, to try, test and measure without an account.

``running_sandbox`` serves a sandbox in a thread, ``python -m target_apollo.sandbox`` in a process.
"""

from target_apollo.sandbox.faults import Fault, FaultKind
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.server import running_sandbox
from target_apollo.sandbox.state import RequestSeen, Sandbox
from target_apollo.sandbox.store import Store

__all__ = [
    "Fault",
    "FaultKind",
    "RequestSeen",
    "Sandbox",
    "SandboxOptions",
    "Store",
    "running_sandbox",
]
