"""The sandbox's own page, made on the server: what a sync did, searched and in parts.

`choice` is what an address asks for, the other modules make tables of it, and `rendering` the HTML.
"""
