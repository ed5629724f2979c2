"""The topology of a complex of cells: faces of all dimensions, Betti numbers, persistence, critical points."""
