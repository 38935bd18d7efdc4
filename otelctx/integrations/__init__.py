"""Floor 3: one module per framework or server, each on its own. What they share stands on a lower floor."""
