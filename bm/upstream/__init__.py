"""The only input and output towards providers."""
