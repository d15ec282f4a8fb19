"""`apollo-sync login`: a user consents in the browser, and the tokens land in the token file.

The authorization-code flow of OAuth 2.0 with state and PKCE: what is asked for and what comes back
(`authorization`, pure), the loopback address that waits for it (`listener`), the command around
them (`command`).
"""
