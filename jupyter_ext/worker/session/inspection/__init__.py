"""Look into a debug session: frames after an exception, tensors, values, a debugger."""
