"""Top floor: fixtures of pytest for applications that use otelctx; `docs/testing.md` shows them."""
