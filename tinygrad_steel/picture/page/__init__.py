"""The page: a graph that one steps through in a browser."""
