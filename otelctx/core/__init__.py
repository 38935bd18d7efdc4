"""Floor 1: what a value is and where it is seen. Knows the standard library and opentelemetry-api, nothing else."""
