"""The JSON schema of the settings, from which ``--about`` and the README's table are made."""

from __future__ import annotations

import enum
from importlib.util import find_spec
from typing import Any

from singer_sdk import typing as th
from singer_sdk.helpers.capabilities import (
    FLATTENING_CONFIG,
    STREAM_MAPS_CONFIG,
    TARGET_VALIDATE_RECORDS_CONFIG,
)

from target_apollo.model.objects.list_member import MirrorScope
from target_apollo.model.objects.registry import STREAM_OBJECTS, ObjectKind
from target_apollo.model.objects.sequence_member import SequenceExit
from target_apollo.model.policies import PROTECTED_STAGES, FieldPolicy
from target_apollo.model.rows import (
    RECORD_MODES,
    MissingAccounts,
    Mode,
    NullPolicy,
    OnApolloDelete,
    OnIdentityConflict,
    Unresolved,
    UpdateMethod,
)
from target_apollo.model.team_profile import DEFAULT_PATH

CREDENTIALS: tuple[th.Property[Any], ...] = (
    th.Property(
        "api_key",
        th.StringType,
        secret=True,
        description="Apollo API key, sent in the header `x-api-key` and nowhere else. Either this "
        "or the settings of OAuth 2.0 must be given.",
    ),
    th.Property(
        "client_id",
        th.StringType,
        description="OAuth 2.0 instead of a key: the app's client id.",
    ),
    th.Property(
        "client_secret",
        th.StringType,
        secret=True,
        description="OAuth 2.0: the app's client secret, sent to `oauth_token_url` only.",
    ),
    th.Property(
        "refresh_token",
        th.StringType,
        secret=True,
        description="OAuth 2.0: a refresh token to begin with; not needed after `apollo-sync "
        "login`. It works once: what it is exchanged for is kept in `token_path`, and goes before "
        "this setting until the setting changes.",
    ),
    th.Property(
        "oauth_token_url",
        th.StringType,
        default="https://app.apollo.io/api/v1/oauth/token",
        description="OAuth 2.0: where tokens are renewed. Plain http is refused except for this "
        "machine.",
    ),
    th.Property(
        "token_path",
        th.StringType,
        default=".target-apollo/token.json",
        description="OAuth 2.0: file with the present tokens (mode 0600), shared by all runs of "
        "these settings.",
    ),
)


def _words(kind: type[enum.Enum]) -> Any:
    """A text that is one of an enum's values."""
    return th.StringType(allowed_values=[one.value for one in kind])


def _whole(low: int, high: int) -> Any:
    return th.IntegerType(minimum=low, maximum=high)


#: What a stream may hold, as its own settings name it.
_OBJECTS = [*(kind.value for kind in ObjectKind), *STREAM_OBJECTS]

#: `auto`, or a number that may be written as text.
AUTO, MOST_PARALLEL = "auto", 16
AUTO_OR_NUMBER = "^(auto|[1-9]|1[0-6])$"
_AUTO_OR_WHOLE = th.CustomType(
    {
        "type": ["string", "integer"],
        "pattern": AUTO_OR_NUMBER,
        "minimum": 1,
        "maximum": MOST_PARALLEL,
    }
)


#: An object of a stream's own settings, or false for a stream whose records are left out.
_STREAM = th.CustomType(
    {
        **th.ObjectType(
            th.Property("object", th.StringType(allowed_values=_OBJECTS)),
            th.Property("mode", _words(Mode)),
            th.Property("update_method", _words(UpdateMethod)),
            th.Property("key", th.ArrayType(th.StringType)),
            th.Property("match_on", th.ArrayType(th.StringType)),
            th.Property("members_of", th.StringType),
            additional_properties=False,
        ).to_dict(),
        # `meltano config set` writes false as text.
        "type": ["object", "boolean", "string"],
        "pattern": "^([Tt]rue|[Ff]alse)$",
    }
)

SCHEMA: dict[str, Any] = th.PropertiesList(
    *CREDENTIALS,
    th.Property(
        "api_url",
        th.StringType,
        default="https://api.apollo.io/api/v1",
        description="Where Apollo's API is. Plain http is refused except for this machine.",
    ),
    th.Property(
        "mode",
        th.StringType(allowed_values=[mode.value for mode in RECORD_MODES]),
        default="upsert",
        description="`insert` creates and leaves what exists alone, `update` changes records by "
        "their Apollo id or `match_on`, `upsert` creates what is new and updates what differs.",
    ),
    th.Property(
        "update_method",
        _words(UpdateMethod),
        default="auto",
        description="How existing records are updated: `individual`, a request a record; `bulk`, a "
        "hundred a request; `auto`: individual while the updates of a flush are few and fit the "
        "quota that is left, bulk beyond.",
    ),
    th.Property(
        "streams",
        th.ObjectType(additional_properties=_STREAM),
        default={},
        description="Per stream name or glob: `object` (`contacts`, `accounts`, "
        + ", ".join(f"`{name}`" for name in STREAM_OBJECTS)
        + "), `mode`, `update_method`, `key` (properties that identify a row), `match_on`, "
        "`members_of`; or `false`, which leaves the stream's records out. Without it the object is "
        "read off the stream's name.",
    ),
    th.Property(
        "match_on",
        th.ArrayType(th.StringType),
        description="Keys by which a row's record is recognised, in order: `email`, `domain`, "
        "`linkedin_url`, `hubspot_id`, `salesforce_id`, `salesforce_lead_id`, "
        "`salesforce_contact_id`, `name` (of a contact with `organization_name`), "
        "`custom:<label>`. Default `[email]` for contacts, `[domain]` for accounts.",
    ),
    th.Property(
        "field_policy",
        th.ObjectType(additional_properties=_words(FieldPolicy)),
        default={},
        description="Field or custom field -> who owns its value: `overwrite` (default), "
        "`fill_if_empty`, `create_only`, `never`, or `newest`: whoever changed it last. `*` stands "
        "for all fields that are not named.",
    ),
    th.Property(
        "protected_stages",
        th.ArrayType(th.StringType),
        default=list(PROTECTED_STAGES),
        description="Names of stages that no sync moves a contact or account out of; `Do Not "
        "Contact` counts where the team has it. Empty: none.",
    ),
    th.Property(
        "updated_at_field",
        th.StringType,
        default="updated_at",
        description="Property with the time of the row's last change at the source, for `newest`.",
    ),
    th.Property(
        "null_policy",
        _words(NullPolicy),
        default="ignore",
        description="`ignore`: a null is not sent; `clear`: a null empties the field in Apollo.",
    ),
    th.Property(
        "null_policy_per_field",
        th.ObjectType(additional_properties=_words(NullPolicy)),
        default={},
        description="Property of the stream -> its own `null_policy`.",
    ),
    th.Property(
        "on_delete",
        th.StringType,
        default="ignore",
        description="What becomes of records whose row the tap marks as deleted, since Apollo "
        "deletes none by API: `ignore`, `stage:<name>` or `list:<name>` to move them there.",
    ),
    th.Property(
        "on_apollo_delete",
        _words(OnApolloDelete),
        default="leave",
        description="What becomes of rows whose record somebody deleted in Apollo, if no other "
        "record has their address: `leave` skips them, `recreate` creates them anew.",
    ),
    th.Property(
        "on_identity_conflict",
        _words(OnIdentityConflict),
        default="reject",
        description="What becomes of a new row that Apollo takes for a record with the same name "
        "and another address: `reject`, or `create` for namesakes and firms of one name.",
    ),
    th.Property(
        "max_identity_changes",
        _whole(0, 1_000_000_000),
        description="A run stops before it writes more rows of a flush than this whose key meant "
        "somebody else before. Without it: ten rows, or a tenth of the known rows if that is more.",
    ),
    th.Property(
        "custom_fields",
        th.ObjectType(additional_properties=th.StringType),
        default={},
        description="Property of the stream -> label of the custom field, where they differ.",
    ),
    th.Property(
        "deal_key_field",
        th.StringType,
        default="External id",
        description="Label of the custom field of deals, of type text, that holds which row a deal "
        "is of, as source/stream/key: without it nothing would keep a lost answer from making a "
        "deal twice.",
    ),
    th.Property(
        "unknown_fields",
        th.StringType(allowed_values=["warn", "ignore", "fail"]),
        default="warn",
        description="Properties that are no field and no custom field: `warn` drops them and says "
        "so once, `ignore` drops them, `fail` ends the run before anything is written.",
    ),
    th.Property(
        "unresolved",
        th.ObjectType(additional_properties=_words(Unresolved)),
        default={},
        description="Property -> what becomes of a row whose owner, stage, account or option "
        "Apollo does not know: `reject`, or `drop` to write the row without it. Default `drop` for "
        "`account_domain` and `parent_account_domain`, `reject` for all others.",
    ),
    th.Property(
        "missing_accounts",
        _words(MissingAccounts),
        default="skip",
        description="What becomes of an `account_domain` that Apollo has no account for: `skip` "
        "writes the contact without the link, `create` makes it, `reject` rejects the row.",
    ),
    th.Property(
        "mirror_scope",
        _words(MirrorScope),
        default="ours",
        description="Whose members a list in mode `mirror` may lose: `ours`, those that this tool "
        "has added; `all`, every member that no row names.",
    ),
    th.Property(
        "link_by_email_domain",
        th.BooleanType,
        default=False,
        description="A contact without `account_domain` is linked by the domain of its e-mail "
        "address, free mail and shared hosts left out.",
    ),
    th.Property(
        "default_owner",
        th.StringType,
        description="E-mail address of the user who owns rows whose `owner_email` is unknown or "
        "has left the team.",
    ),
    th.Property(
        "allow_domains",
        th.ArrayType(th.StringType),
        default=[],
        description="Hosts that count as a company's own domain though many companies share them, "
        "such as `facebook.com` for the account of Meta. Each is one host, without those under it.",
    ),
    th.Property(
        "lists",
        th.ArrayType(th.StringType),
        default=[],
        description="Apollo lists that every written record is added to, beside its own "
        "`label_names`.",
    ),
    th.Property(
        "create_in_two_steps",
        th.BooleanType,
        default=False,
        description="New records are created with nothing but the keys by which they are "
        "recognised, and an update writes the rest: so a creation overwrites nothing, whatever "
        "Apollo does with records that exist.",
    ),
    th.Property(
        "batch_size",
        _whole(1, 100),
        default=100,
        description="Records per bulk request.",
    ),
    th.Property(
        "parallel_requests",
        _AUTO_OR_WHOLE,
        default=AUTO,
        description="Most requests that are under way at the same time: 1 to 16, or `auto` for up "
        "to 16. They are 4 while Apollo answers within half a second, and no more than its limit "
        "of the minute lets through.",
    ),
    th.Property(
        "max_retries",
        _whole(0, 20),
        default=3,
        description="Further tries after a connection error, a timeout, 408 or 5xx.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(minimum=1, maximum=600),
        default=60,
        description="Longest wait for an answer to begin, and for its next part. A whole "
        "answer may take twice as long.",
    ),
    th.Property(
        "quota_share",
        th.NumberType(exclusive_minimum=0, maximum=1),
        default=1.0,
        description="Part of each of Apollo's rate limits after which a run sends nothing; the "
        "rest of the minute, hour or day is left to people and other tools.",
    ),
    th.Property(
        "quota_percent",
        _whole(1, 100),
        default=100,
        description="`quota_share` as a whole number, such as 70, for environments that know no "
        "fractions.",
    ),
    th.Property(
        "max_wait_seconds",
        th.NumberType(minimum=0, maximum=86_400),
        default=900,
        description="Longest wait for Apollo's rate limit; a longer one ends the run with exit "
        "code 3, and the next run goes on from there.",
    ),
    th.Property(
        "ledger_url",
        th.StringType,
        secret=True,  # it may hold the database's password
        default="sqlite:///.target-apollo/ledger.db",
        description="SQLAlchemy URL of the ledger, which knows what each row became in Apollo: "
        "SQLite or PostgreSQL. Empty: no ledger, which costs requests but makes no duplicates.",
    ),
    th.Property(
        "source",
        th.StringType,
        description="Where the rows come from, so that two taps may have streams of one name and "
        "rows of one key; by default Meltano's name of the extractor, without Meltano empty. A "
        "name that changes later makes the ledger take all rows for new ones.",
    ),
    th.Property(
        "full_resync",
        th.BooleanType,
        default=False,
        description="Take no row for unchanged: every row is written again, after somebody edited "
        "records in Apollo, and rows of deleted records are looked for once more.",
    ),
    th.Property(
        "rejects_path",
        th.StringType,
        default=".target-apollo/rejects.singer",
        description="Singer file to which rejected records are appended (mode 0600).",
    ),
    th.Property(
        "on_record_error",
        th.StringType(allowed_values=["reject", "fail"]),
        default="reject",
        description="`reject`: a bad record goes to the rejects file and the run goes on; `fail`: "
        "it ends the run.",
    ),
    th.Property(
        "max_rejected_percent",
        th.NumberType(minimum=0, maximum=100),
        default=5,
        description="More rejected records than this at the end: exit code 1. Fewer than 5 fail no "
        "run, unless this is 0, and neither do those that an earlier run rejected as they are.",
    ),
    th.Property(
        "abort_rejected_percent",
        th.NumberType(minimum=0, maximum=100),
        default=50,
        description="More rejected records than this, once 100 have an outcome: the run stops.",
    ),
    th.Property(
        "max_creates",
        _whole(0, 1_000_000_000),
        description="A run that would create more records than this stops before it does.",
    ),
    th.Property(
        "max_updates",
        _whole(0, 1_000_000_000),
        description="The same for updates of existing records.",
    ),
    th.Property(
        "allow_sequences",
        th.ArrayType(th.StringType),
        default=[],
        description="Sequences, by name or id, that rows of `sequence_members` may enrol contacts "
        "into; they send e-mail to people. Rows of other sequences are rejected.",
    ),
    th.Property(
        "max_enrolments",
        _whole(0, 1_000_000_000),
        description="A run that would enrol more contacts into sequences than this stops before it "
        "does.",
    ),
    th.Property(
        "sequence_exit",
        _words(SequenceExit),
        default="finish",
        description="Mode `mirror` of `sequence_members`: a contact whose row is gone is marked as "
        "finished (`finish`) or taken out of the sequence (`remove`), if a run has enrolled it.",
    ),
    th.Property(
        "max_records",
        _whole(1, 1_000_000_000),
        description="Only so many records are read, for a first small sync; STATE is not advanced.",
    ),
    th.Property(
        "dry_run",
        th.BooleanType,
        default=False,
        description="Plan and look up as a run would, write nothing, and say what would be "
        "written; STATE is not advanced.",
    ),
    th.Property(
        "sample_diffs",
        _whole(0, 20),
        default=0,
        description="With `dry_run`: so many changed fields of existing records go into the "
        "summary, with both values. They show your data.",
    ),
    th.Property(
        "profile_path",
        th.StringType,
        default=DEFAULT_PATH,
        description="What `apollo-sync probe` has found out about the team's Apollo, by which a "
        "run goes; a profile of another team is not used. Empty: none.",
    ),
    th.Property(
        "summary_path",
        th.StringType,
        description="JSON summary of the run; default `.target-apollo/runs/<run id>.json`.",
    ),
    th.Property(
        "state_interval_seconds",
        th.NumberType(minimum=0, maximum=3_600),
        default=1,
        description="STATE is written at most this often; the last one always.",
    ),
    th.Property(
        "max_record_age_seconds",
        th.NumberType(minimum=1, maximum=86_400),
        default=60,
        description="A partial batch older than this is written, so that a slow stream does not "
        "hold STATE back.",
    ),
    additional_properties=False,
).to_dict()

#: The settings that the SDK gives every target, without those that have no effect on this one
#: (`add_record_metadata`, `batch_size_rows`, `load_method`).
_SDK_SETTINGS = (TARGET_VALIDATE_RECORDS_CONFIG, STREAM_MAPS_CONFIG, FLATTENING_CONFIG)


def add_sdk_settings(schema: dict[str, Any]) -> None:
    """Adds the settings that the SDK itself reads to a schema; properties that it has stay."""
    for settings in _SDK_SETTINGS:
        for name, setting in settings["properties"].items():
            # The SDK ignores this setting where the package that it is for is not installed.
            if name != "faker_config" or find_spec("faker") is not None:
                schema["properties"].setdefault(name, setting)
