"""What can be mapped, and the custom fields that are missing for it: `apollo-sync fields`.

Rooms, imports from top to bottom::

    command      arguments in, lists on stdout, exit code out
    report       what can be mapped, as lines and as JSON
    creating     custom fields made in Apollo, one by one
    workspace    what a team has: custom fields, owners, stages, lists
    missing      which custom fields a stream's properties lack
    field_types  from a JSON schema to the type of a custom field
    schemas      a catalog's streams, or those of SCHEMA messages
    standard     the fields that every contact and account has
"""
