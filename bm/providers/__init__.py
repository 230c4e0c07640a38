"""Who can be called, under which name a model goes there, and what it accepts: data, and pure functions over it."""
