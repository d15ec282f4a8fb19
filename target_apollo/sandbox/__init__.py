"""A local Apollo, to try, test and measure without an account.

``running_sandbox`` serves a sandbox in a thread, ``python -m target_apollo.sandbox`` in a process.
"""

from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.serving.faults import Fault, FaultKind
from target_apollo.sandbox.serving.server import running_sandbox
from target_apollo.sandbox.state import RequestSeen, Sandbox

__all__ = [
    "Fault",
    "FaultKind",
    "RequestSeen",
    "Sandbox",
    "SandboxOptions",
    "Store",
    "running_sandbox",
]
