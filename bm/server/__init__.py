"""The thin HTTP side: routes, keys, bodies, and the administration of a running daemon."""
