"""The user's settings: their files, schema, loading, validation and editing."""
