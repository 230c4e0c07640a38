"""One request from its body to the bytes of its answer: the only room that knows all layers."""
