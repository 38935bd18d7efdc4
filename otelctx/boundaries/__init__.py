"""Floor 2: places where Python would lose the context. Each module patches one of them, idempotently and reversibly."""
