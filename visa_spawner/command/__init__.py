"""The operator's command `visa`: one module for each of its subjects."""
