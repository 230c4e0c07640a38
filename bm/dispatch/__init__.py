"""Pure decisions: the order in which targets are tried, what an outcome means, what to do next."""
