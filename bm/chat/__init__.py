"""The canonical form: one request, its parts, the events of its answer.

Closest to Anthropic's content blocks, because they keep the order of text, thinking and calls; parts know which
vendor they came from, so that nothing signed by one is replayed to another. Used only when the client's protocol
differs from the upstream's; equal protocols pass bytes through.
"""
