"""The fields that a column without a field may be meant for: a table, and misspellings. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from target_apollo.model.columns import field_names
from target_apollo.model.objects.registry import ObjectKind, ObjectType
from target_apollo.model.texts.spelling import letters_of, nearest_name

#: Object -> letters of a column's name -> the fields that it often means.
_OFTEN_MEANT: Mapping[ObjectKind, Mapping[str, tuple[str, ...]]] = {
    ObjectKind.CONTACTS: {
        "mail": ("email",),
        "emailaddress": ("email",),
        "workemail": ("email",),
        "primaryemail": ("email",),
        "emails": ("contact_emails",),
        "otheremails": ("contact_emails",),
        "givenname": ("first_name",),
        "forename": ("first_name",),
        "familyname": ("last_name",),
        "surname": ("last_name",),
        "name": ("first_name", "last_name"),
        "fullname": ("first_name", "last_name"),
        "jobtitle": ("title",),
        "position": ("title",),
        "role": ("title",),
        "company": ("organization_name", "account_domain"),
        "companyname": ("organization_name",),
        "organization": ("organization_name",),
        "employer": ("organization_name",),
        "account": ("organization_name", "account_domain"),
        "accountname": ("organization_name",),
        "companydomain": ("account_domain",),
        "domain": ("account_domain",),
        "phone": ("phone_number",),
        "telephone": ("phone_number",),
        "tel": ("phone_number",),
        "workphone": ("direct_phone",),
        "mobile": ("mobile_phone",),
        "cell": ("mobile_phone",),
        "cellphone": ("mobile_phone",),
        "mobilenumber": ("mobile_phone",),
        "linkedin": ("linkedin_url",),
        "linkedinprofile": ("linkedin_url",),
        "website": ("website_url",),
        "address": ("present_raw_address",),
        "stage": ("contact_stage",),
        "stageid": ("contact_stage_id",),
        "status": ("contact_stage",),
        "owner": ("owner_email",),
        "ownername": ("owner_email",),
        "ownerid": ("owner_id", "owner_email"),
        "accountid": ("account_id", "account_domain"),
        "contactstageid": ("contact_stage_id", "contact_stage"),
        "contactid": ("apollo_id",),
        "lists": ("label_names",),
        "labels": ("label_names",),
        "tags": ("label_names",),
    },
    ObjectKind.ACCOUNTS: {
        "website": ("domain",),
        "websiteurl": ("domain",),
        "url": ("domain",),
        "companydomain": ("domain",),
        "accountdomain": ("domain",),
        "company": ("name",),
        "companyname": ("name",),
        "accountname": ("name",),
        "organizationname": ("name",),
        "phone": ("phone_number",),
        "telephone": ("phone_number",),
        "address": ("raw_address",),
        "linkedin": ("linkedin_url",),
        "stage": ("account_stage",),
        "stageid": ("account_stage_id",),
        "status": ("account_stage",),
        "owner": ("owner_email",),
        "ownername": ("owner_email",),
        "ownerid": ("owner_id", "owner_email"),
        "accountstageid": ("account_stage_id", "account_stage"),
        "parent": ("parent_account_domain",),
        "parentdomain": ("parent_account_domain",),
        "parentid": ("parent_account_id", "parent_account_domain"),
        "parentaccountid": ("parent_account_id", "parent_account_domain"),
        "accountid": ("apollo_id",),
        "lists": ("label_names",),
        "labels": ("label_names",),
        "tags": ("label_names",),
    },
}


def fields_meant(object_type: ObjectType, name: str, taken: Collection[str]) -> tuple[str, ...]:
    """The fields that a column without a field may mean.

    Args:
        taken: Fields that have a column.

    >>> from target_apollo.model.objects.registry import CONTACT
    >>> fields_meant(CONTACT, "phone", ()), fields_meant(CONTACT, "emial", ())
    (('phone_number',), ('email',))
    """
    often = _OFTEN_MEANT[object_type.kind].get(letters_of(name), ())
    if often:
        return tuple(one for one in often if one not in taken)
    near = nearest_name(name, [one for one in field_names(object_type) if one not in taken])
    return () if near is None else (near,)
