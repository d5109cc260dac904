"""The service of local models: records, states, download and load jobs."""
