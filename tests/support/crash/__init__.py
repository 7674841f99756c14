"""Ending a real agent process at every step it takes: counted edges, a fork server, a node to run on, and the enumeration."""
