"""The demo: a year of real files through a stack, and an account of every row of them."""
