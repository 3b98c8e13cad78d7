"""Questions to a finished run: the life of a document, its cluster, what another limit would do."""
