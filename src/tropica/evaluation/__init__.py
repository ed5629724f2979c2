"""The extracted function N^(X): values, labels and active terms."""
