"""The daemon as a process: its start, its end, and what it leaves on disk meanwhile."""
