"""The HTTP server: routes, keys, bodies, the admin app and the dashboard."""
