"""Codecs: one folder a wire protocol, each pure, each between its wire and the canonical form."""
