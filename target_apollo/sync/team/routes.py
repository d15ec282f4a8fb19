"""Which of two update endpoints a team's Apollo takes, carried from run to run by the ledger.

Apollo documents PATCH for accounts, and an Apollo that takes only PUT refuses it with 404 or 405.
Without a ledger each run finds that out by one refused request.
"""

from __future__ import annotations

from collections.abc import Mapping

from target_apollo.apollo import ACCOUNT_ENDPOINTS, ApolloClient, endpoints
from target_apollo.model.objects.registry import OBJECTS
from target_apollo.model.team_profile import TeamProfile
from target_apollo.sync.dry_run.ledger import RunLedger


class TeamRoutes:
    """The update endpoints of one run's team, by object."""

    def __init__(self, client: ApolloClient) -> None:
        self._client = client
        self._known: Mapping[str, str] = {}

    def use_profile(self, profile: TeamProfile) -> None:
        """Lets the client begin with what a probe has found out about the team's Apollo."""
        if profile.puts_accounts:
            self._client.update_endpoints.begin_with(ACCOUNT_ENDPOINTS, endpoints.PUT_ACCOUNT)
        for object_type in OBJECTS.values():
            if profile.duplicates_matched(object_type.endpoints.plural):
                self._client.create_once(object_type.endpoints)
        if profile.clears_with_null:
            self._client.clear_with_null()

    def recall(self, ledger: RunLedger, connection: str) -> None:
        """Lets the client begin with the endpoints that an earlier run has found to be taken.

        Raises:
            LedgerError: The ledger can't be read.
        """
        self._known = ledger.routes(connection)
        for object_type in OBJECTS.values():
            route = self._known.get(object_type.singular)
            if route is not None:
                self._client.update_endpoints.begin_with(object_type.endpoints, route)

    def keep(self, ledger: RunLedger, connection: str) -> None:
        """Saves the endpoints that Apollo takes, where they are not those expected anyway.

        Raises:
            LedgerError: The ledger can't be written.
        """
        for object_type in OBJECTS.values():
            of = object_type.endpoints
            taken = self._client.update_endpoints.taken(of)
            if taken not in (None, self._known.get(object_type.singular, of.update)):
                ledger.save_route(connection, object_type.singular, str(taken))
