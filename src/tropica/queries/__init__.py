"""Questions asked of regions: the cell of a point, distances, walks, ranges, properties, attributions."""
