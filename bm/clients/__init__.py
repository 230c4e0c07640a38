"""Configure coding tools to use bm."""
