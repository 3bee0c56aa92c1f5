"""The routes: each checks, calls one function, and shapes its result."""
