"""Floor 3: what finds leaks and losses of the context. It replaces functions while it is on; off, it is not loaded."""
