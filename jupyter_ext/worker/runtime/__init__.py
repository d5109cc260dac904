"""Run the user's code in a worker: load it, bind its arguments, cut its tracebacks, redact its secrets."""
