"""HTTP requests of a client, from the socket to their answer: windows, faults, OAuth, endpoints."""
