"""
The embedded local collector: an OTLP receiver with a store that can be queried, for one developer's machine.

What it answers with success is committed first; what it cannot keep it refuses, so that the sender tries again.
"""
