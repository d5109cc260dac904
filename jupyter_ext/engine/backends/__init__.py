"""Where a training can run. A backend starts, stops and watches; the service decides."""
