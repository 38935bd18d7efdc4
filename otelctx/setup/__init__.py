"""Floor 4: puts the lower floors together. The only reader of the environment and of configuration files."""
