"""Apollo's REST API: a method per endpoint over one transport, and errors that say what to do.

Nothing in here knows of Singer. `ApolloClient(Transport(...))` is the way in.
"""

from target_apollo.apollo.answers import (
    ID_SHAPE,
    JSON,
    Answer,
    BulkCreated,
    Label,
    Profile,
    RecordPage,
    Stage,
    User,
    is_id,
)
from target_apollo.apollo.client import ApolloClient
from target_apollo.apollo.custom_fields import CustomField
from target_apollo.apollo.endpoints import (
    ACCOUNT_ENDPOINTS,
    CONTACT_ENDPOINTS,
    ENDPOINTS,
    MAX_BULK,
    Endpoint,
    ObjectEndpoints,
    access_to,
    endpoints_of,
)
from target_apollo.apollo.errors import (
    AllRefusedAlike,
    AnotherRecord,
    AnswerLost,
    ApolloError,
    CredentialsRefused,
    EndpointForbidden,
    ForbiddenBy,
    JobStarted,
    NoAccessToken,
    QuotaExhausted,
    RequestRefused,
    RunStopped,
    TeamRefused,
)
from target_apollo.apollo.http import ApiKeyAuth, Refreshes
from target_apollo.apollo.oauth import OAuth, TokenEndpoint
from target_apollo.apollo.proxy import UnusableCertificates
from target_apollo.apollo.quota import Quota, Window, Windows
from target_apollo.apollo.rate_windows import WindowState, window_states_of
from target_apollo.apollo.sequences import (
    FINISH,
    REMOVE,
    EmailSequence,
    Enrolled,
    Mailbox,
    SequenceClient,
    has_left,
    status_in,
)
from target_apollo.apollo.team_pacer import WindowStore
from target_apollo.apollo.throttle import Counters, Wait, WaitReason
from target_apollo.apollo.token_store import Login, TokenFile
from target_apollo.apollo.transport import Request, Transport, TransportProtocol, request_to
from target_apollo.apollo.urls import check_api_url

__all__ = [
    "ACCOUNT_ENDPOINTS",
    "CONTACT_ENDPOINTS",
    "ENDPOINTS",
    "FINISH",
    "ID_SHAPE",
    "JSON",
    "MAX_BULK",
    "REMOVE",
    "AllRefusedAlike",
    "AnotherRecord",
    "Answer",
    "AnswerLost",
    "ApiKeyAuth",
    "ApolloClient",
    "ApolloError",
    "BulkCreated",
    "Counters",
    "CredentialsRefused",
    "CustomField",
    "EmailSequence",
    "Endpoint",
    "EndpointForbidden",
    "Enrolled",
    "ForbiddenBy",
    "JobStarted",
    "Label",
    "Login",
    "Mailbox",
    "NoAccessToken",
    "OAuth",
    "ObjectEndpoints",
    "Profile",
    "Quota",
    "QuotaExhausted",
    "RecordPage",
    "Refreshes",
    "Request",
    "RequestRefused",
    "RunStopped",
    "SequenceClient",
    "Stage",
    "TeamRefused",
    "TokenEndpoint",
    "TokenFile",
    "Transport",
    "TransportProtocol",
    "UnusableCertificates",
    "User",
    "Wait",
    "WaitReason",
    "Window",
    "WindowState",
    "WindowStore",
    "Windows",
    "access_to",
    "check_api_url",
    "endpoints_of",
    "has_left",
    "is_id",
    "request_to",
    "status_in",
    "window_states_of",
]
