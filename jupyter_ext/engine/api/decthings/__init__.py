"""Decthings' RPC under `/v0`, over HTTP and WebSocket. Rule: the contract is never bent; see docs/architecture/13-decthings.md."""
