"""The person's settings: where they live, what they may say, how they are read, edited and watched."""
