"""Results back to the warehouse: a Singer tap over the ledger and over Apollo's names.

Rooms, imports from top to bottom::

    command         `apollo-sync results` and `tap-apollo-sync`: arguments in, exit code out
    tap             the tap: its settings, its streams, and what kept one from being read
    ledger_stream   apollo_sync_results, incremental
    lookup_streams  apollo_users, apollo_stages, apollo_custom_fields, whole each time
    stream          what the four have in common
    bookmark        up to which moment nothing can turn up any more
    link_rows       the ledger's links in pages
    settings        the settings that it shares with the target, and where they are read from
"""
