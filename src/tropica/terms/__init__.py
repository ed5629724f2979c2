"""The types of linear terms, and the store on disk."""
