"""`apollo-sync replay`: sends rejected records again and takes what succeeds out of their file.

The rejects file stays as it is until the replay is over. What fails again is written to a second
file beside it; at the end that file takes in what had no outcome and what other runs appended
meanwhile, and is renamed over the first:

====================  =================================================================
`rejects.singer`      read from its start to where it ended when the replay began
`….singer.replaying`  the successor in the making; worth nothing to a later replay
`….singer.lock`       held by the replay, so that there is one at a time; empty
====================  =================================================================

A replay that is killed leaves the first file untouched, so no reject is lost, and those that had
succeeded are sent once more, which changes nothing in Apollo. Runs append in whole blocks under the
first file's lock; the replay holds it only for the last copy and the rename, and a run that waited
for it sees that the path means another file and appends to that one.
"""
