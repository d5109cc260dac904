"""The engine's parts, each built in a module of its own, and the ports that they are asked over."""
