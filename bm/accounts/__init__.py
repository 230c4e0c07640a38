"""Who may be spent: the credentials file, the accounts' cooldowns and health, and which conversation is whose."""
