"""Floor 2: delivery that does not lose data, by exporters and processors for the SDK; docs/delivery.md explains it."""
