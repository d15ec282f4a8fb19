"""What Apollo calls its users, stages and custom fields: whole tables, read anew each time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from singer_sdk import typing as th

from target_apollo.tap.stream import ResultStream


class Users(ResultStream):
    """The members of the team, deleted ones included; source: GET /users/search."""

    name = "apollo_users"
    primary_keys = ("id",)
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("id", th.StringType, required=True),
        th.Property("email", th.StringType, description="In lower case."),
        th.Property("name", th.StringType),
        th.Property("deleted", th.BooleanType, description="A deleted user owns nothing."),
    ).to_dict()

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the users."""
        for user in self.tap.apollo.users():
            yield {
                "id": user.id,
                "email": user.email.strip().lower() or None,
                "name": user.name or None,
                "deleted": user.deleted,
            }


class Stages(ResultStream):
    """The stages of contacts and of accounts; source: GET /contact_stages, GET /account_stages."""

    name = "apollo_stages"
    primary_keys = ("object", "id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("object", th.StringType, required=True, description="contact or account."),
        th.Property("id", th.StringType, required=True),
        th.Property("name", th.StringType),
        th.Property("display_name", th.StringType, description="The name that people see."),
    ).to_dict()

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the stages."""
        apollo = self.tap.apollo
        for name, read in (("contact", apollo.contact_stages), ("account", apollo.account_stages)):
            for stage in read():
                yield {
                    "object": name,
                    "id": stage.id,
                    "name": stage.name,
                    "display_name": stage.display_name or None,
                }


class CustomFields(ResultStream):
    """The custom fields; source: GET /fields, and GET /typed_custom_fields for their options."""

    name = "apollo_custom_fields"
    primary_keys = ("object", "id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property(
            "object", th.StringType, required=True, description="contact, account or opportunity."
        ),
        th.Property("id", th.StringType, required=True, description="24 hex digits."),
        th.Property("label", th.StringType),
        th.Property("type", th.StringType),
        th.Property(
            "options",
            th.ArrayType(
                th.ObjectType(th.Property("id", th.StringType), th.Property("name", th.StringType))
            ),
            description="What a picklist lets one choose; empty for other types.",
        ),
    ).to_dict()

    def rows(self) -> Iterable[dict[str, Any]]:
        """Yield the custom fields."""
        for field in self.tap.apollo.custom_fields():
            yield {
                "object": field.modality,
                "id": field.id,
                "label": field.label,
                "type": field.type,
                "options": [{"id": option, "name": name} for name, option in field.options.items()],
            }
