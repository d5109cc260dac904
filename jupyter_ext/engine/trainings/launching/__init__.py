"""How runs come to be: asked for, made, queued, resumed, and taken over from an engine before this one."""
