"""Floor 2: fields on logs, spans and metrics. A module that needs the SDK says so in its first lines."""
