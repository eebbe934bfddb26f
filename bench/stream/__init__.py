"""The desktop's two streams over thin lines, in a real browser."""
