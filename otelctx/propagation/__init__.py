"""Floor 2: how fields cross a boundary. The propagator is the one edge that every instrumentation calls."""
