"""A service with plain OpenTelemetry, as a neighbour has it; it says what baggage it sees."""

import httpx
from fastapi import FastAPI
from opentelemetry import baggage

app = FastAPI()


@app.get("/baggage")
async def seen() -> dict[str, str]:
    return {key: str(value) for key, value in baggage.get_all().items()}


@app.get("/call")
async def call(url: str) -> dict:
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).json()
