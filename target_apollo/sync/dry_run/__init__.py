"""A dry run: everything that a run does, up to the requests that would change Apollo.

Those are answered here as Apollo would answer them, from what it was asked to show and what the
rehearsed requests would have made of it, so that all that follows from an answer happens too. What
reads goes to Apollo. Nothing is kept: neither in the ledger nor in the rejects file nor as STATE.

Rooms, imports from top to bottom::

    rehearsal    what a run takes instead of its own: transport, ledger
    transport    what is sent, what is answered here, and what would have been sent
    team         Apollo as it would be by now; answers the writing endpoints
    outlook      what the requests need of Apollo's limits
    limits       Apollo's limits, and what the rehearsed requests would leave of them
    lookups      asks Apollo which records exist, within a bound
    records      records in a temporary database, found by what Apollo recognises them by
    answers      what a written record would look like                                      (pure)
    recognising  by what Apollo takes one record for another                                (pure)
    sampling     changes of existing records with their values, where asked for
    seen_rows    the rows of a whole dry run by e-mail and domain
    ledger       the ledger as a run reads it, with what is written beside it
    diffs        an update, field by field                                                  (pure)
"""
