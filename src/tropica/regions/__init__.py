"""Linear regions, exactly: domains, the engine, and its results."""
