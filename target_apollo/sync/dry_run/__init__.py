"""A dry run: does all that a run does, but sends no request that would change Apollo.

Requests that read go to Apollo. Requests that write are answered here as Apollo would answer them,
from the records that it has shown and from what earlier requests of the dry run would have changed,
so the rest of the run goes on as usual. The ledger, the rejects file and STATE stay unchanged.
"""
