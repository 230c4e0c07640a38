"""Requests to providers: the only I/O towards them."""
