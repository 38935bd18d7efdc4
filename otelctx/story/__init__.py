"""
One request told over all its services, from what the local collector stored.

Nothing here asks a collector or reads the environment: the input is its JSON, the output text, JSON or a picture.
"""
