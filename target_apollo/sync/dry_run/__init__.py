"""A dry run: everything that a run does, up to the requests that would change Apollo.

Those are answered here as Apollo would answer them, from the records it was asked to show and from
what earlier requests of the dry run would have made of them, so that all that follows from an
answer happens too. Requests that read go to Apollo. Nothing is kept: neither in the ledger nor in
the rejects file nor as STATE.
"""
