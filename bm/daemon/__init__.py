"""The daemon as a process: starting, stopping, its log, and the file that describes it while it runs."""
