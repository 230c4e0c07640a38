"""The daemon as a service of the system: it comes back after a login or a reboot, and after a crash."""
