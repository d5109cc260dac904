"""Everything that crosses a process: resources, problems, schemas, columns. No I/O in here."""
