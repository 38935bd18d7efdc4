"""
The command line: `otelctx story`, `requests`, `run`, `collector` and `demo`.

A command is imported only when it is run.
"""
