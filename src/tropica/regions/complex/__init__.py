"""The cells of a domain together: maps, neighbors, regions, boundary, files."""
