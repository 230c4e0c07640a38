"""Decisions without clock, dice or I/O: in which order targets are tried, what an outcome means, what comes next."""
