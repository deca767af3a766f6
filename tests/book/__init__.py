"""The layers of the book's chapters 5 to 15: each with its backward chained by hand, and mistakes in such chains."""
