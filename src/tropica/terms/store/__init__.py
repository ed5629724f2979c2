"""Linear terms on disk: shards, manifest, resuming."""
