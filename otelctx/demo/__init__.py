"""
A shop of three services, and what runs them.

`gateway`, `orders` and `inventory` are ordinary applications, here and in docker-compose.yml; the other modules start
them, send them requests and show what the collector got. Nothing that they start outlives them.
"""
