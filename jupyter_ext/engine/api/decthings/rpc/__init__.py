"""Calls and events of Decthings' RPC, over HTTP and WebSocket."""
