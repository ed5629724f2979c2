"""Linear terms on disk: shards, the manifest, and resuming an interrupted extraction."""
