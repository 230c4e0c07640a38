"""What several nodes share through Valkey or Redis. Nothing of it is imported without `[shared] url`."""
